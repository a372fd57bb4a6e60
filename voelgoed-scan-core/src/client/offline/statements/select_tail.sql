-- Selects the last scan of the log, which the next scan continues.
select sequence, link
from scans
order by sequence desc
limit 1
