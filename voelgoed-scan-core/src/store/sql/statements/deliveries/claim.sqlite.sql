-- Leases deliveries of webhook $2 of organization $1 that are due at $4 to node $3 for $5 milliseconds, at most $6.
-- Of the deliveries with a ticket, only the first pending one of each ticket is free.
update webhook_deliveries
set leased_until = $4 + $5, lease_holder = $3
where organization_id = $1
    and id in (
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
    )
returning id, body, attempts, ticket_id, sequence
