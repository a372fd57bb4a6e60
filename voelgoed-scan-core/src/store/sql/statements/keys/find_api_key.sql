-- Reads the API key with hash $1.
-- The key is looked up before the organization is known, so the hash alone is the key.
select k.organization_id, k.id, k.name, k.role, k.inserted_at
from credentials c
join api_keys k on k.organization_id = c.organization_id and k.id = c.subject_id
where c.token_hash = $1 and c.kind = 'api_key'
