-- Reads the gates of event $2 of organization $1 with their counters, in the order of their names.
select
    g.organization_id as g_organization_id, g.id as g_id, g.event_id as g_event_id,
    g.name as g_name, g.code as g_code, g.status as g_status, g.capacity as g_capacity,
    g.ticket_classes as g_ticket_classes, g.inserted_at as g_inserted_at,
    g.updated_at as g_updated_at, o.entries, o.exits, o.counted_since, o.valid, o.duplicate, o.invalid_token,
    o.wrong_event, o.wrong_gate, o.refused
from occupancy o
join gates g on g.organization_id = $1 and g.event_id = $2 and g.id = o.gate_id
where o.organization_id = $1 and o.event_id = $2
order by g.name, g.id
