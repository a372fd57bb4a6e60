-- Counts the scans of event $2 of organization $1.
select count(*) as scans
from scans
where organization_id = $1 and event_id = $2
