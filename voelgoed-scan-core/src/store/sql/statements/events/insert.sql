-- Inserts an event. Changes no row where the id exists.
-- $1: organization. $2: event. $3: name. $4: status. $5: start. $6: end. $7: capacity.
-- $8: re-entry. $9: allow unsigned. $10: ticket classes as JSON. $11: stale manifest.
-- $12: greatest age of a manifest. $13: now, for both times. $14: doors open. $15: doors close.
-- $16: new start. $17: time zone. $18: start of day. $19: allow media.
-- $20: whether a rehearsal makes it.
-- The others are those of update.sql.
insert into events (
    organization_id, id, name, status, starts_at, ends_at, capacity, reentry, allow_unsigned,
    ticket_classes, stale_manifest, manifest_max_age_s, inserted_at, updated_at, doors_open_at,
    doors_close_at, rescheduled_at, time_zone, day_starts_at, allow_media, rehearsal,
    archived_at
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15, $16, $17, $18, $19, $20,
    case when $4 = 'archived' then $13 end
)
on conflict (organization_id, id) do nothing
