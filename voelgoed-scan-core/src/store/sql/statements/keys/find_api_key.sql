-- Reads the API key of organization $1 with hash $2.
select k.organization_id, k.id, k.name, k.role, k.inserted_at
from credentials c
join api_keys k on k.organization_id = $1 and k.id = c.subject_id
where c.organization_id = $1
    and c.token_hash = $2
    and c.kind = 'api_key'
