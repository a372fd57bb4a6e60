-- Selects the first scans that wait for upload, in the order of the log.
-- $1 limit
select scan_id, sent, link, monotonic_ms, boot_id
from scans
where status is null
order by sequence
limit $1
