-- Reads how many people entered and left at the gates of some events.
-- $1: a JSON array of {"o": organization, "k": event}. Ids are 32 hexadecimal digits.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select o.organization_id, o.event_id, o.gate_id, o.entries, o.exits
from json_each($1) k
cross join occupancy o on o.organization_id = unhex(k.value ->> 'o')
    and o.event_id = unhex(k.value ->> 'k')
