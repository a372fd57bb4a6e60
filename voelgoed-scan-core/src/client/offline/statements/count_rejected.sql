-- Counts the rejected scans that nobody has seen.
select count(*) as n
from scans
where status = 'rejected'
    and seen = 0
