-- Inserts a signing key of organization $1.
-- $2: format. $3: key id. $4: status. $5: public key, or null. $6: creation time.
-- Changes no row where (format, key id) exists.
insert into signing_keys (organization_id, format, kid, status, public_key, inserted_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (organization_id, format, kid) do nothing
