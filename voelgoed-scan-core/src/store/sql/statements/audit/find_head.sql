-- Reads the number of the last entry of the audit log of organization $1.
select sequence
from audit_heads
where organization_id = $1
