-- Selects the first scans that wait for upload, in the order of the log.
-- $1 limit
select scan_id, sent, link
from scans
where status is null
order by sequence
limit $1
