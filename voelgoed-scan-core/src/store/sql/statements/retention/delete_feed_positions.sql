-- Deletes the position of the feed of event $2 of organization $1.
delete from feed_positions
where organization_id = $1 and event_id = $2
