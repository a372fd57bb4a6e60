-- Counts the tickets of event $2 of organization $1.
select count(*) as tickets
from tickets
where organization_id = $1 and event_id = $2
