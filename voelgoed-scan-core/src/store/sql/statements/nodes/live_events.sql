-- Reads the gates of live events of all organizations with their counters: at most $1 gates, those of the events that changed
-- last first. An event without a gate has one row.
-- $1: the limit.
select
    e.organization_id as e_organization_id, e.id as e_id, e.name as e_name, e.status as e_status,
    e.starts_at as e_starts_at, e.ends_at as e_ends_at, e.doors_open_at as e_doors_open_at,
    e.doors_close_at as e_doors_close_at, e.rescheduled_at as e_rescheduled_at,
    e.time_zone as e_time_zone, e.day_starts_at as e_day_starts_at, e.capacity as e_capacity,
    e.reentry as e_reentry, e.allow_unsigned as e_allow_unsigned,
    e.allow_media as e_allow_media, e.rehearsal as e_rehearsal,
    e.ticket_classes as e_ticket_classes, e.stale_manifest as e_stale_manifest,
    e.manifest_max_age_s as e_manifest_max_age_s, e.inserted_at as e_inserted_at,
    e.updated_at as e_updated_at, e.rules_since, e.counted_since,
    g.id as gate_id, g.capacity as gate_capacity, o.entries, o.exits, o.counted_since as gate_counted_since
from (
    select *
    from events
    where status = 'live'
    order by updated_at desc, id desc
    limit $1
) e
left join gates g on g.organization_id = e.organization_id and g.event_id = e.id
left join occupancy o on o.organization_id = g.organization_id and o.event_id = g.event_id and o.gate_id = g.id
order by e.updated_at desc, e.id desc, e.organization_id, g.name, g.id
limit $1
