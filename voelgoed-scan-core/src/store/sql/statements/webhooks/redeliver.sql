-- Makes delivery $3 of webhook $2 of organization $1 due at $4, as if it had not been sent. One that is pending keeps its
-- attempts.
update webhook_deliveries
set attempts = case when status = 'pending' then attempts else 0 end,
    status = 'pending', next_attempt_at = $4, delivered_at = null, failed_at = null
where organization_id = $1 and webhook_id = $2 and id = $3
