-- Deletes deliveries of organization $1 that failed before $2. $3: the limit.
delete from webhook_deliveries
where organization_id = $1
    and id in (
        select d.id
        from webhook_deliveries d
        where d.organization_id = $1 and d.status = 'failed' and d.failed_at < $2
        limit $3
    )
