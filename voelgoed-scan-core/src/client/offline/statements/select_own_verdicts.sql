-- Selects the scans of the log before a sequence number, newest first.
-- $1 sequence number, $2 how many
select
    scans.sequence,
    scans.verdict,
    scans.status is null as is_waiting,
    exists (
        select 1
        from passages
        where passages.scan_id = scans.scan_id
    ) as has_passage
from scans
where scans.sequence < $1
order by scans.sequence desc
limit $2
