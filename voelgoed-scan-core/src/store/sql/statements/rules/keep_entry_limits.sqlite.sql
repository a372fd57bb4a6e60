-- Keeps the entry limits that tickets of organization $2 had until $3.
-- $1: a JSON array of {"i": ticket id, "l": limit}.
-- A limit that began no earlier than $3 never held, and is not kept.
insert into former_entry_limits (organization_id, ticket_id, held_until, entry_limit)
select $2, unhex(r.value ->> 'i'), $3, r.value ->> 'l'
from json_each($1) r
where not exists (
    select 1
    from former_entry_limits f
    where f.organization_id = $2 and f.ticket_id = unhex(r.value ->> 'i') and f.held_until >= $3
)
