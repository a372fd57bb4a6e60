-- Reads gate $2 of event $3 of organization $1.
select
    g.organization_id as g_organization_id, g.id as g_id, g.event_id as g_event_id,
    g.name as g_name, g.code as g_code, g.status as g_status, g.capacity as g_capacity,
    g.ticket_classes as g_ticket_classes, g.inserted_at as g_inserted_at,
    g.updated_at as g_updated_at
from gates g
where g.organization_id = $1
    and g.event_id = $3
    and g.id = $2
