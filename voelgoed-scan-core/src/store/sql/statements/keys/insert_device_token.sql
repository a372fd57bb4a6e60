-- Inserts the token with hash $1 for device $3 of organization $2.
insert into credentials (token_hash, organization_id, kind, subject_id)
values ($1, $2, 'device', $3)
