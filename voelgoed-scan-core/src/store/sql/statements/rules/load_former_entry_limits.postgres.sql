-- Reads the former entry limits of tickets of organization $2, in the order of the times until which they held.
-- $1: a JSON array of {"k": ticket}. Ids are 32 hexadecimal digits.
select f.ticket_id, f.held_until, f.entry_limit
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join former_entry_limits f on f.organization_id = $2 and f.ticket_id = k.k
order by f.ticket_id, f.held_until
