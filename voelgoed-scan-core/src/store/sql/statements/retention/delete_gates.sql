-- Deletes the gates of event $2 of organization $1.
delete from gates
where organization_id = $1 and event_id = $2
