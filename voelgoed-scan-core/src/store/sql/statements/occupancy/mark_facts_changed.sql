-- Stores the change counter of organization $1 in the counters of all gates of event $2.
-- A first admission that waited for the lock on these rows compares it with the value in memory
-- and does not admit by facts that have changed since.
update occupancy
set facts_changed_at_counter = (select change_counter from organizations where id = $1)
where organization_id = $1 and event_id = $2
