-- Clears the reasons for which staff accepted scans of organization $2. $1: a JSON array of {"k": scan}.
update acceptances
set reason = ''
where organization_id = $2
    and scan_id in (
        select k.k
        from jsonb_to_recordset($1::jsonb) as k(k uuid)
    )
