-- Adds to the scan counts of sessions.
-- $1: a JSON array of {"s": session, "n": scans}. $2: the organization.
update sessions s
set scan_count = s.scan_count + r.n
from jsonb_to_recordset($1::jsonb) as r(s uuid, n bigint)
where s.organization_id = $2 and s.id = r.s
