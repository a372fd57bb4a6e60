-- Makes the deliveries due at $4 that wait for delivery $3 of their ticket and were not sent yet. They still follow it.
-- $1: the organization. $2: the webhook.
update webhook_deliveries
set next_attempt_at = $4
where organization_id = $1
    and webhook_id = $2
    and status = 'pending'
    and attempts = 0
    and next_attempt_at > $4
    and ticket_id = (
        select d.ticket_id
        from webhook_deliveries d
        where d.organization_id = $1 and d.webhook_id = $2 and d.id = $3
    )
    and sequence > (
        select d.sequence
        from webhook_deliveries d
        where d.organization_id = $1 and d.webhook_id = $2 and d.id = $3
    )
