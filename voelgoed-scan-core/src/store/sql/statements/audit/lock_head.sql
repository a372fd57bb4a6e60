-- Locks the head of the audit log of organization $1 and reads it. The first entry makes the row.
insert into audit_heads (organization_id, sequence)
values ($1, 0)
on conflict (organization_id) do update set sequence = audit_heads.sequence
returning sequence, hash
