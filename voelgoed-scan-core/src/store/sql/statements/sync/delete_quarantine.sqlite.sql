-- Takes scans of device $3 of organization $2 out of quarantine.
-- $1: a JSON array of scan ids.
delete from quarantine
where organization_id = $2
    and device_id = $3
    and scan_id in (
        select unhex(value)
        from json_each($1)
    )
