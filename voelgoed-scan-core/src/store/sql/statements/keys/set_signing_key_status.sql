-- Sets the status of the signing key of organization $1, format $2, key id $3 to $4.
-- Changes no row where a revoked key would get another status.
update signing_keys
set status = $4
where organization_id = $1
    and format = $2
    and kid = $3
    and (status <> 'revoked' or $4 = 'revoked')
returning format, kid, status, public_key, inserted_at
