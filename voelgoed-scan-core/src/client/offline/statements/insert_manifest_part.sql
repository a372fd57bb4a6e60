-- Appends a part to the manifest of an event. The first part gets position 0.
-- $1 event, $2 the signed bytes
insert into manifest_parts (event_id, position, bytes)
select $1, coalesce(max(position) + 1, 0), $2
from manifest_parts
where event_id = $1
