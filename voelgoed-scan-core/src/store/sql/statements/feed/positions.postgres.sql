-- Reads the last positions of the feeds of some events. An event without scans has none.
-- $1: a JSON array of {"o": organization, "k": event}. Ids are 32 hexadecimal digits.
select p.organization_id, p.event_id, p.last
from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid)
join feed_positions p on p.organization_id = k.o and p.event_id = k.k
