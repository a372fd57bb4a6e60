-- Sets the cursors of consumer $2 to the ends of the feeds of organization $1.
insert into feed_cursors (organization_id, consumer, event_id, position)
select $1, $2, event_id, last
from feed_positions
where organization_id = $1
on conflict (organization_id, consumer, event_id) do update set position = excluded.position
