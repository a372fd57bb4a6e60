-- Deletes deliveries of webhook $2 of organization $1, which is deleted. $3: the limit.
delete from webhook_deliveries
where organization_id = $1
    and id in (
        select d.id
        from webhook_deliveries d
        where d.organization_id = $1 and d.webhook_id = $2
        limit $3
    )
