-- Reads the last positions of the feeds of some events of organization $2. An event without scans has none.
-- $1: a JSON array of {"k": event}. Ids are 32 hexadecimal digits.
select p.event_id, p.last
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join feed_positions p on p.organization_id = $2 and p.event_id = k.k
