-- Reads which organizations have acts that are not entered in their audit logs.
select distinct organization_id
from pending_audit_acts
