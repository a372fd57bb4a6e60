-- Reads the former entry limits of tickets of organization $2, in the order of the times until which they held.
-- $1: a JSON array of {"k": ticket}. Ids are 32 hexadecimal digits.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select f.ticket_id, f.held_until, f.entry_limit
from jsonb_to_recordset($1::jsonb) as k(k uuid)
cross join lateral (
    select *
    from former_entry_limits
    where organization_id = $2 and ticket_id = k.k
    offset 0
) f
order by f.ticket_id, f.held_until
