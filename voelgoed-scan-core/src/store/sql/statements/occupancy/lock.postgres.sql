-- Locks the gate counters of some events.
-- $1: a JSON array of {"o": organization, "k": event}. Ids are 32 hexadecimal digits.
-- The order is the same on every node, so that two batches do not deadlock.
select o.gate_id
from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid)
join occupancy o on o.organization_id = k.o and o.event_id = k.k
order by o.organization_id, o.event_id, o.gate_id
for update of o
