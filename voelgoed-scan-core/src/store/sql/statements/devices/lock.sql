-- Locks device $2 of organization $1 by writing its row, and reads its status, its scope and its settings.
-- A revocation comes before or after the transaction, not in between.
update devices
set status = status
where organization_id = $1 and id = $2
returning status, scope, settings
