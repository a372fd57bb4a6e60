-- Puts changes of scans of organization $2 into the feeds of their events.
-- $1: a JSON array of {"e": event, "p": position, "k": scan}.
insert into scan_changes (organization_id, event_id, feed_position, scan_id)
select $2, e, p, k
from jsonb_to_recordset($1::jsonb) as r(e uuid, p bigint, k uuid)
