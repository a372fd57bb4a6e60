-- Replaces the body of webhook delivery $2 of organization $1 by $3.
update webhook_deliveries
set body = $3
where organization_id = $1 and id = $2
