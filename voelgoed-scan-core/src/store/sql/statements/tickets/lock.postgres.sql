-- Locks tickets.
-- $1: a JSON array of {"o": organization, "c": code} and {"o": organization, "i": ticket id}.
-- Ids are 32 hexadecimal digits.
-- The order by code is the same on every node, so that two batches do not deadlock.
-- `union` merges a ticket that is named by its code and by its id.
select t.id
from (
    select b.organization_id, b.id
    from jsonb_to_recordset($1::jsonb) as k(o uuid, c text)
    join tickets b on b.organization_id = k.o and b.code = k.c
    union
    select k.o, k.i
    from jsonb_to_recordset($1::jsonb) as k(o uuid, i uuid)
    where k.i is not null
) k
join tickets t on t.organization_id = k.organization_id and t.id = k.id
order by t.organization_id, t.code
for update of t
