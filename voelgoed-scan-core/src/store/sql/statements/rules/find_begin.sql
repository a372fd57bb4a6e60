-- Reads when the present rules of event $2 of organization $1 began.
select rules_since, counted_since
from events
where organization_id = $1 and id = $2
