-- Selects the time of the first uploaded entry of this phone that has no conflict.
-- $1 event, $2 the earliest time
select min(passages.at) as at
from passages
join scans on scans.scan_id = passages.scan_id
where passages.event_id = $1
    and passages.at >= $2
    and passages.direction = 'entry'
    and scans.status in ('recorded', 'replayed')
    and not exists (
        select 1
        from conflicts
        where conflicts.other_scan_id = passages.scan_id
    )
