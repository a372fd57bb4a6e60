-- Adds scans to the arrivals of events.
-- $1: a JSON array of {"e": event, "slot": five seconds, "n": scans}. $2: the organization.
-- `where true` separates the select from `on conflict`, as SQLite's grammar requires.
insert into arrivals (organization_id, event_id, slot, scans)
select $2, unhex(value ->> 'e'), value ->> 'slot', value ->> 'n'
from json_each($1)
where true
on conflict (organization_id, event_id, slot) do update set scans = arrivals.scans + excluded.scans
