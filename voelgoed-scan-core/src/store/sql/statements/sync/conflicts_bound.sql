-- Finds the last of the conflicts of organization $1, newest first, that one page may read.
-- $2, $3: time and id of the last conflict of the page before. $4: how many conflicts the part holds
-- after its first.
select c.scanned_at, c.scan_id
from (
    select *
    from (
        select x.scanned_at, x.scan_id
        from scans x
        where x.organization_id = $1
            and x.conflict is not null
            and x.scanned_at <= $2
            and (x.scanned_at, x.scan_id) < ($2, $3)
        order by x.scanned_at desc, x.scan_id desc
        limit $4 + 1
    ) lost
    union all
    select *
    from (
        select q.scanned_at, q.scan_id
        from quarantine q
        where q.organization_id = $1
            and q.scanned_at <= $2
            and (q.scanned_at, q.scan_id) < ($2, $3)
        order by q.scanned_at desc, q.scan_id desc
        limit $4 + 1
    ) quarantined
) c
order by c.scanned_at desc, c.scan_id desc
limit 1
offset $4
