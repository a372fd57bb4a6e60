-- Selects the admissions and exits that the server decided on this phone, before a place, newest first: in the order in
-- which the phone recorded them between the scans of its log, and by the server's time between two of these.
-- $1 scan of the log, $2 time, $3 scan, $4 how many
select log_sequence, scan_id, event_id, direction, reason, at, gate_id, gate_name
from passages
where (log_sequence, at, scan_id) < ($1, $2, $3)
    and not exists (
        select 1
        from scans
        where scans.scan_id = passages.scan_id
    )
order by log_sequence desc, at desc, scan_id desc
limit $4
