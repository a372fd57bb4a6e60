-- Reads whether API key $2 of organization $1 exists.
select id
from api_keys
where organization_id = $1 and id = $2
