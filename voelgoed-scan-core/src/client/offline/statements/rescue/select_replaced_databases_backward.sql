-- Selects what a database that was set aside knows of those that were set aside before it, from its end.
-- An index may be damaged, so the table itself is read.
select path, replaced_at, code, rescued, complete, confirmed
from replaced_databases not indexed
order by rowid desc
