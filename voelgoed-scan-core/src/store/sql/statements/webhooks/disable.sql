-- Disables webhook $2 of organization $1 for reason $3 at $4, unless it is disabled.
update webhooks
set status = 'disabled', disabled_reason = $3, updated_at = $4
where organization_id = $1 and id = $2 and status = 'active'
