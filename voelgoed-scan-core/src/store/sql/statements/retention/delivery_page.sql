-- Reads the next webhook deliveries of event $2 of organization $1 after id $3, with their bodies. $4: the limit.
select id, body
from webhook_deliveries
where organization_id = $1 and event_id = $2 and id > $3
order by id
limit $4
