-- Reads the last row of tickets.
select coalesce(max(rowid), 0) as last
from tickets
