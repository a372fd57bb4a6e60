-- Changes webhook $2 of organization $1.
-- $3: URL. $4: types. $5: events. $6: description. $7: status. $8: why the server disabled it. $9: the time.
-- A webhook that is active again has not failed yet.
update webhooks
set url = $3, types = $4, event_ids = $5, description = $6,
    failing_since = case when status = 'disabled' then null else failing_since end,
    status = $7, disabled_reason = $8, updated_at = $9
where organization_id = $1 and id = $2
