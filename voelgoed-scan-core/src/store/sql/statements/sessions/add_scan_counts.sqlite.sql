-- Adds to the scan counts of sessions.
-- $1: a JSON array of {"s": session, "n": scans}. $2: the organization.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update sessions
set scan_count = scan_count + (r.value ->> 'n')
from (select value from json_each($1) limit -1) r
where sessions.organization_id = $2 and sessions.id = unhex(r.value ->> 's')
