-- Selects the admissions and exits that the server decided on this phone, before a time and an id, newest first.
-- $1 time, $2 scan, $3 how many
select scan_id, event_id, direction, reason, at, gate_id, gate_name
from passages
where (at, scan_id) < ($1, $2)
    and not exists (
        select 1
        from scans
        where scans.scan_id = passages.scan_id
    )
order by at desc, scan_id desc
limit $3
