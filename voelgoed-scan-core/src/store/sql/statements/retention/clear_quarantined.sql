-- Replaces what quarantined scan $3 of device $2 of organization $1 holds besides its columns by $4.
update quarantine
set upload = $4
where organization_id = $1 and device_id = $2 and scan_id = $3
