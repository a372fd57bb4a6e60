-- Reads the next scans of organization $1 after time $3 and id $4, in the order of their times. No index has the scans of an
-- event, because each index costs every scan.
-- Each row shows what a retry of the scan is answered from, if it is of event $2, and whether the scan holds metadata or a
-- reason. $5: the reason of an undo that no person wrote. $6: the limit.
select
    x.scan_id, x.scanned_at, case when x.event_id = $2 then x.shown end as shown,
    (
        x.event_id = $2
        and (
            x.metadata is not null
            or coalesce(x.override_reason, '') <> ''
            or coalesce(x.undone_reason, $5) <> $5
            or exists (
                select 1
                from acceptances a
                where a.organization_id = $1 and a.scan_id = x.scan_id and a.reason <> ''
            )
        )
    ) as holds
from scans x
where x.organization_id = $1
    and x.scanned_at >= $3
    and (x.scanned_at, x.scan_id) > ($3, $4)
order by x.scanned_at, x.scan_id
limit $6
