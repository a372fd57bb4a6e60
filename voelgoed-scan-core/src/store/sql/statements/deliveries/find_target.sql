-- Reads where and with which secrets the deliveries of webhook $2 of organization $1 are sent, while it is active.
select url, secret, former_secret, former_secret_until
from webhooks
where organization_id = $1 and id = $2 and status = 'active'
