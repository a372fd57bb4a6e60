-- Selects the manifests of a database that was set aside.
-- An index may be damaged, so the table itself is read.
select event_id, position, bytes
from manifest_parts not indexed
order by rowid
