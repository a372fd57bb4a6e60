-- Reads the last row of quarantine.
select coalesce(max(rowid), 0) as last
from quarantine
