-- Selects the order of the manifests of a database that was set aside, from its end.
-- An index may be damaged, so the table itself is read.
select event_id, used
from manifest_uses not indexed
order by rowid desc
