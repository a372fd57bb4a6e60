-- Reads the changes of statuses of tickets, in the order of their times.
-- $1: a JSON array of {"o": organization, "k": ticket}. Ids are 32 hexadecimal digits.
select c.ticket_id, c.changed_at, c.status
from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid)
join ticket_status_changes c on c.organization_id = k.o and c.ticket_id = k.k
order by c.ticket_id, c.changed_at
