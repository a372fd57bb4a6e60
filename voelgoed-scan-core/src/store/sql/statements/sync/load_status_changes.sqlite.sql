-- Reads the changes of statuses of tickets, in the order of their times.
-- $1: a JSON array of {"k": ticket}. Ids are 32 hexadecimal digits. $2: the organization.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select c.ticket_id, c.changed_at, c.status
from json_each($1) k
cross join ticket_status_changes c on c.organization_id = $2
    and c.ticket_id = unhex(k.value ->> 'k')
order by c.ticket_id, c.changed_at
