-- Reads the former entry limits of tickets of organization $2, in the order of the times until which they held.
-- $1: a JSON array of {"k": ticket}. Ids are 32 hexadecimal digits.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select f.ticket_id, f.held_until, f.entry_limit
from json_each($1) k
cross join former_entry_limits f on f.organization_id = $2 and f.ticket_id = unhex(k.value ->> 'k')
order by f.ticket_id, f.held_until
