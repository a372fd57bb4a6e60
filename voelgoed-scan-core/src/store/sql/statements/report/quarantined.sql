-- Counts the scans of event $2 of organization $1 in quarantine.
select count(*) as scans
from quarantine q
where q.organization_id = $1 and q.event_id = $2
