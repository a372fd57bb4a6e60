-- Reads how many people entered and left at the gates of some events.
-- $1: a JSON array of {"k": event}. Ids are 32 hexadecimal digits. $2: the organization.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select o.organization_id, o.event_id, o.gate_id, o.entries, o.exits, o.counted_since
from json_each($1) k
cross join occupancy o on o.organization_id = $2
    and o.event_id = unhex(k.value ->> 'k')
