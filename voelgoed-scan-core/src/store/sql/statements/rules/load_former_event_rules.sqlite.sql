-- Reads the former rules of events of organization $2, in the order of the times until which they held.
-- $1: a JSON array of {"k": event}. Ids are 32 hexadecimal digits.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select f.event_id, f.held_until, f.reentry, f.time_zone, f.day_starts_at
from json_each($1) k
cross join former_event_rules f on f.organization_id = $2 and f.event_id = unhex(k.value ->> 'k')
order by f.event_id, f.held_until
