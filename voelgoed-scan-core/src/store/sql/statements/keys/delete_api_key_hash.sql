-- Deletes the hash of API key $2 of organization $1.
delete from credentials
where organization_id = $1
    and subject_id = $2
    and kind = 'api_key'
