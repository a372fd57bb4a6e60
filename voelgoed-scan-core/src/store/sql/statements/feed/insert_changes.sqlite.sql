-- Notes the positions of changes of scans of organization $2.
-- $1: a JSON array of {"p": position, "k": scan}.
insert into scan_changes (organization_id, scan_id, feed_position)
select $2, unhex(value ->> 'k'), value ->> 'p'
from json_each($1)
