-- Deletes the counters of event $2 of organization $1.
delete from occupancy
where organization_id = $1 and event_id = $2
