-- Inserts entry $2 of the audit log of organization $1.
-- $3: time. $4: kind of the actor. $5: its id. $6: action. $7: kind of the subject. $8: its id.
-- $9: the scan that the entry was made of. $10: address. $11: hashed content. $12: hash. $13: signature.
insert into audit_entries (
    organization_id, sequence, at, actor_kind, actor_id, action, subject_kind, subject_id,
    scan_id, address, content, hash, signature
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
