-- Reads the last row of scans.
select coalesce(max(rowid), 0) as last
from scans
