-- Reads the batches of entries after position $3 in the feed of event $2 of organization $1, in their order.
-- $4: the limit. The first one may begin before the position.
select last_position, is_change, scan_ids
from feed_batches
where organization_id = $1 and event_id = $2 and last_position > $3
order by last_position
limit $4
