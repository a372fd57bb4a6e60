-- Deletes the scans of event $2 of organization $1 in quarantine, at most $3 and those that have the same ids.
delete from quarantine
where organization_id = $1
    and event_id = $2
    and scan_id in (
        select d.scan_id
        from quarantine d
        where d.organization_id = $1 and d.event_id = $2
        order by d.scan_id
        limit $3
    )
