-- Deletes API key $2 of organization $1.
delete from api_keys
where organization_id = $1 and id = $2
