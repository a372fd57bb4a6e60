-- Adds to the scan counts of sessions.
-- $1: a JSON array of {"o": organization, "s": session, "n": scans}.
update sessions s
set scan_count = s.scan_count + r.n
from jsonb_to_recordset($1::jsonb) as r(o uuid, s uuid, n bigint)
where s.organization_id = r.o and s.id = r.s
