-- Reads the organization of the API key or device token with hash $1.
-- The organization is not known before, so the hash alone is the key.
select organization_id
from credentials
where token_hash = $1
