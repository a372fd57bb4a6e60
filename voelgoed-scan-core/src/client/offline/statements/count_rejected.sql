-- Counts the scans that the server did not accept and that nobody has seen.
select count(*) as n
from scans
where status in ('rejected', 'quarantined')
    and seen = 0
