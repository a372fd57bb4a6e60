-- Records that the manifest of an event is the most recently used one.
-- $1 event
insert into manifest_uses (event_id, used)
select $1, coalesce(max(used), 0) + 1
from manifest_uses
where true
on conflict (event_id) do update
set used = excluded.used
