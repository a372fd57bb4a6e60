-- Locks tickets.
-- $1: a JSON array of {"c": code} and {"i": ticket id}. Ids are 32 hexadecimal digits.
-- $2: the organization.
-- The order by code is the same on every node, so that two batches do not deadlock. Each ticket is
-- found and locked on its own, in the order of the codes.
-- `union` merges a ticket that is named by its code and by its id.
select t.id
from (
    select k.c as code
    from jsonb_to_recordset($1::jsonb) as k(c text)
    where k.c is not null
    union
    select b.code
    from jsonb_to_recordset($1::jsonb) as k(i uuid)
    cross join lateral (
        select code
        from tickets
        where organization_id = $2 and id = k.i
        offset 0
    ) b
    order by code
) k
cross join lateral (
    select id
    from tickets
    where organization_id = $2 and code = k.code
    for update
) t
