-- Puts changes of scans into the feeds of their events.
-- $1: a JSON array of {"o": organization, "e": event, "p": position, "k": scan}.
insert into scan_changes (organization_id, event_id, feed_position, scan_id)
select unhex(value ->> 'o'), unhex(value ->> 'e'), value ->> 'p', unhex(value ->> 'k')
from json_each($1)
