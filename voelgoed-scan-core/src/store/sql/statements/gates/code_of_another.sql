-- Reads a gate of event $2 of organization $1 that has code $4 and is not gate $3.
select id
from gates
where organization_id = $1
    and event_id = $2
    and id <> $3
    and code = $4
limit 1
