-- Inserts API key $2 of organization $1.
-- $3: name. $4: role. $5: creation time.
insert into api_keys (organization_id, id, name, role, inserted_at)
values ($1, $2, $3, $4, $5)
