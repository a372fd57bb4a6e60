-- Locks the gate counters of some events.
-- $1: a JSON array of {"k": event}. Ids are 32 hexadecimal digits. $2: the organization.
-- The order is the same on every node, so that two batches do not deadlock.
select o.gate_id
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join occupancy o on o.organization_id = $2 and o.event_id = k.k
order by o.event_id, o.gate_id
for update of o
