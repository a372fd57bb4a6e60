-- Reads the events of every organization that are live, or that may be on their new date.
select
    e.organization_id as e_organization_id, e.id as e_id, e.name as e_name, e.status as e_status,
    e.starts_at as e_starts_at, e.ends_at as e_ends_at, e.doors_open_at as e_doors_open_at,
    e.doors_close_at as e_doors_close_at, e.rescheduled_at as e_rescheduled_at,
    e.time_zone as e_time_zone, e.day_starts_at as e_day_starts_at, e.capacity as e_capacity,
    e.reentry as e_reentry, e.allow_unsigned as e_allow_unsigned,
    e.allow_media as e_allow_media, e.rehearsal as e_rehearsal,
    e.ticket_classes as e_ticket_classes, e.stale_manifest as e_stale_manifest,
    e.manifest_max_age_s as e_manifest_max_age_s, e.inserted_at as e_inserted_at,
    e.updated_at as e_updated_at, e.rules_since, e.counted_since
from events e
where e.status in ('live', 'postponed')
