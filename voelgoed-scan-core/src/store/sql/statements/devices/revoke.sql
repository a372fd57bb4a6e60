-- Revokes device $2 of organization $1.
-- $3: true, which PostgreSQL and SQLite write differently. $4: now.
-- Changes no row where the device is revoked already.
update devices
set status = 'inactive', revoked = $3, updated_at = $4
where organization_id = $1
    and id = $2
    and not revoked
