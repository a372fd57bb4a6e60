-- Reserves positions in the feeds of events of organization $2, and returns the last one of each event.
-- $1: a JSON array of {"e": event, "n": how many entries, "k": their scans}. `insert_batches.sqlite.sql` inserts the entries.
-- `where true` separates the select from `on conflict`, as SQLite's grammar requires.
insert into feed_positions (organization_id, event_id, last)
select $2, unhex(value ->> 'e'), value ->> 'n'
from json_each($1)
where true
on conflict (organization_id, event_id) do update set last = feed_positions.last + excluded.last
returning event_id, last
