-- Reads what a search for signals needs of scans of organization $1, in the order of their entries in a feed.
-- $2: a JSON array of {"p": position, "k": scan, "c": 1 for a change of a recorded scan}. Ids are 32 hexadecimal digits.
-- An entry is left out that a later change of the same scan replaces, and one that undoes a scan. The entry of a scan that was
-- undone later stays.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select
    x.scan_id, x.ticket_id, x.gate_id, x.device_id, x.result, x.scanned_at, x.received_at, x.source
from json_each($2) k
cross join scans x on x.organization_id = $1 and x.scan_id = unhex(k.value ->> 'k')
where (k.value ->> 'c' = 0 and x.undone_at is not null)
    or (
        x.undone_at is null
        and not exists (
            select 1
            from scan_changes l
            where l.organization_id = $1 and l.scan_id = x.scan_id and l.feed_position > k.value ->> 'p'
        )
    )
order by k.value ->> 'p'
