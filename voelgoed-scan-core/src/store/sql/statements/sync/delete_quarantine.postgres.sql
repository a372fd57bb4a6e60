-- Takes scans of device $3 of organization $2 out of quarantine.
-- $1: a JSON array of scan ids.
delete from quarantine
where organization_id = $2
    and device_id = $3
    and scan_id in (
        select k.id::uuid
        from jsonb_array_elements_text($1::jsonb) as k(id)
    )
