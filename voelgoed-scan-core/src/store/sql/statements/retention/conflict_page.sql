-- Reads scans of event $2 of organization $1 that lost against another one. $3: the limit.
select scan_id
from scans
where organization_id = $1 and event_id = $2 and conflict is not null
order by scanned_at, scan_id
limit $3
