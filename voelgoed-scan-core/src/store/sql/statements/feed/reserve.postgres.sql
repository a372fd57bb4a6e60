-- Reserves positions in the feeds of events of organization $2, and returns the last one of each event.
-- $1: a JSON array of {"e": event, "n": how many}.
-- The order is the same on every node, so that two batches do not deadlock.
insert into feed_positions (organization_id, event_id, last)
select $2, e, n
from jsonb_to_recordset($1::jsonb) as r(e uuid, n bigint)
order by e
on conflict (organization_id, event_id) do update set last = feed_positions.last + excluded.last
returning event_id, last
