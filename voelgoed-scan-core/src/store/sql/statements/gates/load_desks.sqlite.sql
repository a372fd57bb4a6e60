-- Reads gates with their events, for check-ins by hand.
-- $1: a JSON array of {"e": event, "g": gate}. Ids are 32 hexadecimal digits. $2: the organization.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select
    e.organization_id as e_organization_id, e.id as e_id, e.name as e_name, e.status as e_status,
    e.starts_at as e_starts_at, e.ends_at as e_ends_at, e.doors_open_at as e_doors_open_at,
    e.doors_close_at as e_doors_close_at, e.rescheduled_at as e_rescheduled_at,
    e.time_zone as e_time_zone, e.day_starts_at as e_day_starts_at, e.capacity as e_capacity,
    e.reentry as e_reentry, e.allow_unsigned as e_allow_unsigned,
    e.allow_media as e_allow_media,
    e.ticket_classes as e_ticket_classes, e.stale_manifest as e_stale_manifest,
    e.manifest_max_age_s as e_manifest_max_age_s, e.inserted_at as e_inserted_at,
    e.updated_at as e_updated_at, g.organization_id as g_organization_id, g.id as g_id,
    g.event_id as g_event_id, g.name as g_name, g.code as g_code, g.status as g_status,
    g.capacity as g_capacity, g.ticket_classes as g_ticket_classes, g.inserted_at as g_inserted_at,
    g.updated_at as g_updated_at, e.rules_since, e.counted_since
from json_each($1) k
cross join gates g on g.organization_id = $2
    and g.event_id = unhex(k.value ->> 'e')
    and g.id = unhex(k.value ->> 'g')
join events e on e.organization_id = $2 and e.id = g.event_id
