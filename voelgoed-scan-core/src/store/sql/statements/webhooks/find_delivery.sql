-- Reads delivery $3 of webhook $2 of organization $1.
select
    d.id, d.type, d.status, d.attempts, d.next_attempt_at, d.last_status, d.last_error, d.inserted_at, d.delivered_at
from webhook_deliveries d
where d.organization_id = $1 and d.webhook_id = $2 and d.id = $3
