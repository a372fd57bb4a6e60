-- Inserts webhook $2 of organization $1.
-- $3: URL. $4: types. $5: events. $6: whether it gets codes. $7: description. $8: sealed secret. $9: the time.
insert into webhooks (
    organization_id, id, url, types, event_ids, codes, description, status, secret, inserted_at, updated_at
)
values ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $9, $9)
