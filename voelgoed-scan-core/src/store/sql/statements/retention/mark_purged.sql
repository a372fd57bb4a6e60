-- Notes that nothing is left of deleted event $2 of organization $1.
update deleted_events
set purged = $3
where organization_id = $1 and event_id = $2
