-- Keeps the entry limits that tickets of organization $2 had until $3.
-- $1: a JSON array of {"i": ticket id, "l": limit}.
-- A limit that began no earlier than $3 never held, and is not kept.
insert into former_entry_limits (organization_id, ticket_id, held_until, entry_limit)
select $2, r.i, $3, r.l
from jsonb_to_recordset($1::jsonb) as r(i uuid, l bigint)
where not exists (
    select 1
    from former_entry_limits f
    where f.organization_id = $2 and f.ticket_id = r.i and f.held_until >= $3
)
