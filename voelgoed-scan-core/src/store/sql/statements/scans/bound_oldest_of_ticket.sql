-- Finds the last of the scans of ticket code $6 of organization $1, oldest first, that one page may read.
-- $2, $3: from and until, both inclusive. $4, $5: time and id of the last scan of the page before.
-- $7: how many scans the part holds after its first.
select x.scanned_at, x.scan_id
from (
    select *
    from (
        select x.scanned_at, x.scan_id
        from scans x
        where x.organization_id = $1
            and x.ticket_id = (
                select t.id
                from tickets t
                where t.organization_id = $1 and t.code = $6
            )
            and x.scanned_at between $2 and $3
            and (x.scanned_at, x.scan_id) > ($4, $5)
        order by x.scanned_at, x.scan_id
        limit $7 + 1
    ) known
    union all
    select *
    from (
        select x.scanned_at, x.scan_id
        from scans x
        where x.organization_id = $1
            and x.ticket_id is null
            and x.ticket_code = $6
            and x.scanned_at between $2 and $3
            and (x.scanned_at, x.scan_id) > ($4, $5)
        order by x.scanned_at, x.scan_id
        limit $7 + 1
    ) unmatched
) x
order by x.scanned_at, x.scan_id
limit 1
offset $7
