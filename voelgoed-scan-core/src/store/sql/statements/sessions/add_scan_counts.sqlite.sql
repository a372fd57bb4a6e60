-- Adds to the scan counts of sessions.
-- $1: a JSON array of {"o": organization, "s": session, "n": scans}.
update sessions
set scan_count = scan_count + (r.value ->> 'n')
from json_each($1) r
where sessions.organization_id = unhex(r.value ->> 'o') and sessions.id = unhex(r.value ->> 's')
