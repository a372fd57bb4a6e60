-- Finds active webhooks of all organizations with a pending delivery that is due at $1, at most $2, in a random order, so
-- that none waits for ever.
select w.organization_id, w.id
from webhooks w
where w.status = 'active'
    and exists (
        select 1
        from webhook_deliveries d
        where d.organization_id = w.organization_id
            and d.webhook_id = w.id
            and d.status = 'pending'
            and d.next_attempt_at <= $1
    )
order by random()
limit $2
