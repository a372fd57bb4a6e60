-- Replaces an event, except for its creation time, and whether a rehearsal made it.
-- $1: organization. $2: event. $3: name. $4: status. $5: start. $6: end. $7: capacity.
-- $8: re-entry. $9: allow unsigned. $10: ticket classes as JSON. $11: stale manifest.
-- $12: greatest age of a manifest. $13: now. $14: doors open. $15: doors close.
-- $16: new start. $17: time zone. $18: start of day. $19: allow media.
-- The parameters are the first ones of insert.sql.
update events
set
    name = $3, status = $4, starts_at = $5, ends_at = $6, capacity = $7, reentry = $8,
    allow_unsigned = $9, ticket_classes = $10, stale_manifest = $11, manifest_max_age_s = $12,
    updated_at = $13, doors_open_at = $14, doors_close_at = $15, rescheduled_at = $16,
    time_zone = $17, day_starts_at = $18, allow_media = $19,
    archived_at = case when $4 = 'archived' then coalesce(archived_at, $13) end
where organization_id = $1 and id = $2
