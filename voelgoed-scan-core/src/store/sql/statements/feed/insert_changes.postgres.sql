-- Puts changes of scans into the feeds of their events.
-- $1: a JSON array of {"o": organization, "e": event, "p": position, "k": scan}.
insert into scan_changes (organization_id, event_id, feed_position, scan_id)
select o, e, p, k
from jsonb_to_recordset($1::jsonb) as r(o uuid, e uuid, p bigint, k uuid)
