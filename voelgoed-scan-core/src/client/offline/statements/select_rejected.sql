-- Selects the scans that the server did not accept, in the order of the log.
select sequence, verdict, status, coalesce(errors, '[]') as errors, seen
from scans
where status in ('rejected', 'quarantined')
order by sequence
