-- Writes what device $2 of organization $1 reports about itself.
-- $3: app as JSON. $4: battery, 0 to 1. $5: scans that wait for upload.
update devices
set app = $3, battery = $4, waiting = $5
where organization_id = $1 and id = $2
