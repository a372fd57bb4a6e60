-- Marks webhook $2 of organization $1 as deleted at $4. Its row goes after its deliveries. $3: no secret.
update webhooks
set status = 'deleted', secret = $3, former_secret = null, former_secret_until = null, updated_at = $4
where organization_id = $1 and id = $2 and status <> 'deleted'
