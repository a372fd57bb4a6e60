-- Locks device $2 of organization $1 by writing its row, and reads what an upload needs of it.
-- The lock keeps two uploads of one device apart.
update devices
set received = received
where organization_id = $1 and id = $2
returning name, status, revoked, settings, device_key, received, may_begin_anew, scope
