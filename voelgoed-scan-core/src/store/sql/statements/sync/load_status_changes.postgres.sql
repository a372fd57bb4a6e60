-- Reads the changes of statuses of tickets, in the order of their times.
-- $1: a JSON array of {"k": ticket}. Ids are 32 hexadecimal digits. $2: the organization.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select c.ticket_id, c.changed_at, c.status
from jsonb_to_recordset($1::jsonb) as k(k uuid)
cross join lateral (
    select *
    from ticket_status_changes
    where organization_id = $2 and ticket_id = k.k
    offset 0
) c
order by c.ticket_id, c.changed_at
