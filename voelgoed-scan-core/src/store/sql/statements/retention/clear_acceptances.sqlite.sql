-- Clears the reasons for which staff accepted scans of organization $2. $1: a JSON array of {"k": scan}.
update acceptances
set reason = ''
where organization_id = $2
    and scan_id in (
        select unhex(value ->> 'k')
        from json_each($1)
    )
