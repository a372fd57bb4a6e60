-- Reads the events that have some gates, at most two of each gate: an upload asks whether it is one.
-- $1: a JSON array of {"k": gate}. Ids are 32 hexadecimal digits. $2: the organization.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select g.id as gate_id, g.event_id
from json_each($1) k
cross join gates g on g.organization_id = $2
    and g.id = unhex(k.value ->> 'k')
    and g.event_id in (
        select event_id
        from gates
        where organization_id = $2 and id = unhex(k.value ->> 'k')
        order by event_id
        limit 2
    )
