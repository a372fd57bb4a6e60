-- Counts the scans of device $2 of organization $1 in quarantine.
select count(*) as scans
from quarantine
where organization_id = $1 and device_id = $2
