-- Selects the last scan of the log, which the next scan continues. An empty log continues that of a database that was set
-- aside, if there was one.
select sequence, link
from scans
union all
select log_base_sequence as sequence, log_base_link as link
from device
order by sequence desc
limit 1
