-- Reads whether gate $2 belongs to event $3 of organization $1.
select id
from gates
where organization_id = $1
    and event_id = $3
    and id = $2
