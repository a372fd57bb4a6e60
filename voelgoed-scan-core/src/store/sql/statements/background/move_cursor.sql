-- Moves the cursor of consumer $2 in the feed of event $3 of organization $1 from position $4 to $5. Changes no row if the
-- cursor is elsewhere.
update feed_cursors
set position = $5
where organization_id = $1 and consumer = $2 and event_id = $3 and position = $4
