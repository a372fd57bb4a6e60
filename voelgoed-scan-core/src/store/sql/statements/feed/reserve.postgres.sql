-- Reserves positions in the feeds of events, and returns the last one of each event.
-- $1: a JSON array of {"o": organization, "e": event, "n": how many}.
-- The order is the same on every node, so that two batches do not deadlock.
insert into feed_positions (organization_id, event_id, last)
select o, e, n
from jsonb_to_recordset($1::jsonb) as r(o uuid, e uuid, n bigint)
order by o, e
on conflict (organization_id, event_id) do update set last = feed_positions.last + excluded.last
returning organization_id, event_id, last
