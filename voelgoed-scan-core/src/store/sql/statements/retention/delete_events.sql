-- Deletes event $2 of organization $1.
delete from events
where organization_id = $1 and id = $2
