-- Deletes at most $3 cursors in the feed of event $2 of organization $1.
delete from feed_cursors
where organization_id = $1
    and event_id = $2
    and consumer in (
        select d.consumer
        from feed_cursors d
        where d.organization_id = $1 and d.event_id = $2
        order by d.consumer
        limit $3
    )
