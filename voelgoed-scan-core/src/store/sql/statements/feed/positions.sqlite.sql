-- Reads the last positions of the feeds of some events. An event without scans has none.
-- $1: a JSON array of {"o": organization, "k": event}. Ids are 32 hexadecimal digits.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select p.organization_id, p.event_id, p.last
from json_each($1) k
cross join feed_positions p on p.organization_id = unhex(k.value ->> 'o')
    and p.event_id = unhex(k.value ->> 'k')
