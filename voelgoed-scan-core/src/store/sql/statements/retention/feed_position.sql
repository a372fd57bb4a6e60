-- Reads the last position in the feed of event $2 of organization $1. Every recorded scan raises it.
select last
from feed_positions
where organization_id = $1 and event_id = $2
