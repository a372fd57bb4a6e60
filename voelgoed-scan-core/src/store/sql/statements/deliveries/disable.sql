-- Disables webhook $2 of organization $1 for reason $3 at $4, if its attempts have all failed since $5 or before.
update webhooks
set status = 'disabled', disabled_reason = $3, updated_at = $4
where organization_id = $1 and id = $2 and status = 'active' and failing_since <= $5
