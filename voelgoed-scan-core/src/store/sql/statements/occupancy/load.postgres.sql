-- Reads how many people entered and left at the gates of some events.
-- $1: a JSON array of {"o": organization, "k": event}. Ids are 32 hexadecimal digits.
select o.organization_id, o.event_id, o.gate_id, o.entries, o.exits
from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid)
join occupancy o on o.organization_id = k.o and o.event_id = k.k
