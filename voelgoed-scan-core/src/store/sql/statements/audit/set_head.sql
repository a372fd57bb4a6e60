-- Makes entry $2 with hash $3 the head of the audit log of organization $1.
update audit_heads
set sequence = $2, hash = $3
where organization_id = $1
