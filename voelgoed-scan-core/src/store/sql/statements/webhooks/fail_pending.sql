-- Gives up pending deliveries of webhook $2 of organization $1, which is disabled. $3: the time. $4: the limit.
-- One that is being sent keeps its lease: it counts as delivered if the receiver takes it.
update webhook_deliveries
set status = 'failed', failed_at = $3, next_attempt_at = null, last_error = coalesce(last_error, 'webhook_disabled')
where organization_id = $1
    and id in (
        select d.id
        from webhook_deliveries d
        where d.organization_id = $1 and d.webhook_id = $2 and d.status = 'pending'
        limit $4
    )
