-- Notes the positions of changes of scans of organization $2.
-- $1: a JSON array of {"p": position, "k": scan}.
insert into scan_changes (organization_id, scan_id, feed_position)
select $2, k, p
from jsonb_to_recordset($1::jsonb) as r(p bigint, k uuid)
