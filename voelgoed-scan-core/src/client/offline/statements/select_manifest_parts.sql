-- Selects the full manifest of an event and then its deltas, in the order in which they apply.
-- $1 event
select bytes
from manifest_parts
where event_id = $1
order by position
