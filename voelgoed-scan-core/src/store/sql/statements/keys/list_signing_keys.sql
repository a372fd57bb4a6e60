-- Reads the signing keys of organization $1, oldest first.
select format, kid, status, public_key, inserted_at
from signing_keys
where organization_id = $1
order by inserted_at, format, kid
