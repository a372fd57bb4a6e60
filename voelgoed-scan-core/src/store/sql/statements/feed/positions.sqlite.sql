-- Reads the last positions of the feeds of some events of organization $2. An event without scans has none.
-- $1: a JSON array of {"k": event}. Ids are 32 hexadecimal digits.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select p.event_id, p.last
from json_each($1) k
cross join feed_positions p on p.organization_id = $2 and p.event_id = unhex(k.value ->> 'k')
