-- Reads the last row of acceptances.
select coalesce(max(rowid), 0) as last
from acceptances
