-- Puts changes of scans of organization $2 into the feeds of their events.
-- $1: a JSON array of {"e": event, "p": position, "k": scan}.
insert into scan_changes (organization_id, event_id, feed_position, scan_id)
select $2, unhex(value ->> 'e'), value ->> 'p', unhex(value ->> 'k')
from json_each($1)
