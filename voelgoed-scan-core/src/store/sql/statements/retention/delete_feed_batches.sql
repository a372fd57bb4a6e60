-- Deletes at most $3 entries in the feed of event $2 of organization $1.
delete from feed_batches
where organization_id = $1
    and event_id = $2
    and last_position in (
        select d.last_position
        from feed_batches d
        where d.organization_id = $1 and d.event_id = $2
        order by d.last_position
        limit $3
    )
