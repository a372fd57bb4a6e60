-- Reads how many people entered and left at the gates of some events.
-- $1: a JSON array of {"k": event}. Ids are 32 hexadecimal digits. $2: the organization.
select o.organization_id, o.event_id, o.gate_id, o.entries, o.exits, o.counted_since
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join occupancy o on o.organization_id = $2 and o.event_id = k.k
