-- Sets the update time of device $2 of organization $1 to $3, unless the device is revoked.
-- The write locks the row: a revocation comes before or after, not in between.
update devices
set updated_at = $3
where organization_id = $1
    and id = $2
    and not revoked
