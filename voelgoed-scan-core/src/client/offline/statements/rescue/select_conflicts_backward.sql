-- Selects the conflicts of a database that was set aside, from its end.
-- An index may be damaged, so the table itself is read.
select other_scan_id, conflict
from conflicts not indexed
order by rowid desc
