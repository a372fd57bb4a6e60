-- Reads a page of the gates of event $2 of organization $1 in the order of their ids.
-- $3: the last id of the page before, or null. $4: the limit.
-- One row more than the page is read, which shows whether there is a next page.
select
    g.organization_id as g_organization_id, g.id as g_id, g.event_id as g_event_id,
    g.name as g_name, g.code as g_code, g.status as g_status, g.capacity as g_capacity,
    g.ticket_classes as g_ticket_classes, g.inserted_at as g_inserted_at,
    g.updated_at as g_updated_at
from gates g
where g.organization_id = $1
    and g.event_id = $2
    and ($3 is null or g.id > $3)
order by g.id
limit $4
