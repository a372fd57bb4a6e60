-- Reads what a search for signals needs of scans of organization $1, in the order of their entries in a feed.
-- $2: positions. $3: scans. $4: 1 for a change of a recorded scan. They are arrays of equal length.
-- An entry is left out that a later change of the same scan replaces, and one that undoes a scan. The entry of a scan that was
-- undone later stays.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select
    x.scan_id, x.ticket_id, x.gate_id, x.device_id, x.result, x.scanned_at, x.received_at, x.source
from unnest($2::bigint[], $3::uuid[], $4::bigint[]) as e(p, k, c)
cross join lateral (
    select *
    from scans
    where organization_id = $1 and scan_id = e.k
    offset 0
) x
where (e.c = 0 and x.undone_at is not null)
    or (
        x.undone_at is null
        and not exists (
            select 1
            from scan_changes l
            where l.organization_id = $1 and l.scan_id = x.scan_id and l.feed_position > e.p
        )
    )
order by e.p
