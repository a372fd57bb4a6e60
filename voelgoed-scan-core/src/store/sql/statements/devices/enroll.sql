-- Enrols a phone as device $2 of organization $1, unless the device is revoked.
-- $3: the phone's public key, or null. $4: app as JSON. $5: true, the next log may restart from 1.
-- $6: now.
-- Battery and waiting scans were reported by the phone before, so they are cleared.
update devices
set
    device_key = $3, app = $4, may_begin_anew = $5, last_seen_at = $6, battery = null,
    waiting = null, updated_at = $6
where organization_id = $1
    and id = $2
    and not revoked
