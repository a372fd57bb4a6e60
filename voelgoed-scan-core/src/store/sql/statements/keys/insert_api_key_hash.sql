-- Inserts hash $1 for API key $3 of organization $2.
insert into credentials (token_hash, organization_id, kind, subject_id)
values ($1, $2, 'api_key', $3)
