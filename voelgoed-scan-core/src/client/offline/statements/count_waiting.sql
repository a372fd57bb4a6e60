-- Counts the scans that wait for upload.
select count(*) as n
from scans
where status is null
