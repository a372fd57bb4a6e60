-- Reads how far consumer $2 has read the feed of event $3 of organization $1.
select position
from feed_cursors
where organization_id = $1 and consumer = $2 and event_id = $3
