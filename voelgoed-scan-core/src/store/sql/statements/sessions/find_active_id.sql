-- Reads the id of the active session of device $2 of organization $1.
select id
from sessions
where organization_id = $1
    and device_id = $2
    and status = 'active'
