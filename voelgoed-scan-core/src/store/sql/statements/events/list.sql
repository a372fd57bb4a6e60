-- Reads a page of the events of organization $1 in the order of their ids.
-- $2: the last id of the page before, or null. $3: the limit.
-- One row more than the page is read, which shows whether there is a next page.
select
    e.organization_id as e_organization_id, e.id as e_id, e.name as e_name, e.status as e_status,
    e.starts_at as e_starts_at, e.ends_at as e_ends_at, e.doors_open_at as e_doors_open_at,
    e.doors_close_at as e_doors_close_at, e.rescheduled_at as e_rescheduled_at,
    e.time_zone as e_time_zone, e.day_starts_at as e_day_starts_at, e.capacity as e_capacity,
    e.reentry as e_reentry, e.allow_unsigned as e_allow_unsigned,
    e.allow_media as e_allow_media, e.rehearsal as e_rehearsal,
    e.ticket_classes as e_ticket_classes, e.stale_manifest as e_stale_manifest,
    e.manifest_max_age_s as e_manifest_max_age_s, e.inserted_at as e_inserted_at,
    e.updated_at as e_updated_at
from events e
where e.organization_id = $1 and ($2 is null or e.id > $2)
order by e.id
limit $3
