-- Reads the oldest acts of organization $1 that are not entered in the audit log. $2: the limit.
select scan_id, action
from pending_audit_acts
where organization_id = $1
order by recorded_at, scan_id
limit $2
