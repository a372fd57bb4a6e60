-- Appends a part of the manifest. The first part gets position 0.
-- $1 event, $2 the signed bytes
insert into manifests (position, event_id, bytes)
select coalesce(max(position) + 1, 0), $1, $2
from manifests
