-- Counts the webhooks of organization $1.
select count(*) as webhooks
from webhooks
where organization_id = $1 and status <> 'deleted'
