-- Inserts the entries whose positions `append.sqlite.sql` has reserved in the same transaction.
-- $1: a JSON array of {"e": event, "n": how many entries, "k": their scans, 32 hexadecimal digits each}.
-- $2: the organization. $3: whether the entries are changes of recorded scans.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
insert into feed_batches (organization_id, event_id, last_position, is_change, scan_ids)
select $2, p.event_id, p.last, $3, unhex(k.value ->> 'k')
from json_each($1) k
cross join feed_positions p on p.organization_id = $2 and p.event_id = unhex(k.value ->> 'e')
