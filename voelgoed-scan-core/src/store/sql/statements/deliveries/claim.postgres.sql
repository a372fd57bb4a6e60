-- Leases deliveries of webhook $2 of organization $1 that are due at $4 to node $3 for $5 milliseconds, at most $6.
-- Of the deliveries with a ticket, only the first pending one of each ticket is free.
with free as (
    select d.id
    from webhook_deliveries d
    where d.organization_id = $1
        and d.webhook_id = $2
        and d.status = 'pending'
        and d.next_attempt_at <= $4
        and (d.leased_until is null or d.leased_until <= $4)
        and (
            d.ticket_id is null
            or not exists (
                select 1
                from webhook_deliveries e
                where e.organization_id = $1
                    and e.webhook_id = $2
                    and e.status = 'pending'
                    and e.ticket_id = d.ticket_id
                    and e.sequence < d.sequence
            )
        )
    order by d.next_attempt_at, d.sequence
    limit $6
    for update of d skip locked
)
update webhook_deliveries d
set leased_until = $4 + $5, lease_holder = $3
from free
where d.organization_id = $1 and d.id = free.id
returning d.id, d.body, d.attempts, d.ticket_id, d.sequence
