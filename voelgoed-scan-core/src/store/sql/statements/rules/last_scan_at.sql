-- Reads the time of the latest scan of organization $1.
select scanned_at
from scans
where organization_id = $1
order by scanned_at desc
limit 1
