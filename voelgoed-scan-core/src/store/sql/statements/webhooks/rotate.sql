-- Replaces the secret of webhook $2 of organization $1 with $3. The one before signs until $4. $5: the time.
update webhooks
set former_secret = secret, former_secret_until = $4, secret = $3, updated_at = $5
where organization_id = $1 and id = $2 and status <> 'deleted'
