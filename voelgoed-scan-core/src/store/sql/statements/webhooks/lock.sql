-- Locks webhook $2 of organization $1 by writing its row, and reads it.
update webhooks
set status = status
where organization_id = $1 and id = $2 and status <> 'deleted'
returning organization_id, id, url, types, event_ids, codes, description, status, disabled_reason, inserted_at, updated_at
