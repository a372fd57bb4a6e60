-- Selects the scans that the server rejected, in the order of the log.
select sequence, verdict, coalesce(errors, '[]') as errors, seen
from scans
where status = 'rejected'
order by sequence
