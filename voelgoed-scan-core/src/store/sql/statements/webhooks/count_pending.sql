-- Counts the pending deliveries of webhook $2 of organization $1, up to $3.
select count(*) as pending
from (
    select d.id
    from webhook_deliveries d
    where d.organization_id = $1 and d.webhook_id = $2 and d.status = 'pending'
    limit $3
) p
