-- Reads the events that have some gates, at most two of each gate: an upload asks whether it is one.
-- $1: a JSON array of {"k": gate}. Ids are 32 hexadecimal digits. $2: the organization.
select g.id as gate_id, g.event_id
from jsonb_to_recordset($1::jsonb) as k(k uuid)
cross join lateral (
    select id, event_id
    from gates
    where organization_id = $2 and id = k.k
    limit 2
) g
