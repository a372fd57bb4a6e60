-- Locks the head of the audit log of organization $1 until the end of the transaction.
select sequence
from audit_heads
where organization_id = $1
for update
