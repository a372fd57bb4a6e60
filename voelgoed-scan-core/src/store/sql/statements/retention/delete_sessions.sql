-- Deletes at most $3 sessions of event $2 of organization $1.
delete from sessions
where organization_id = $1
    and event_id = $2
    and id in (
        select d.id
        from sessions d
        where d.organization_id = $1 and d.event_id = $2
        order by d.id
        limit $3
    )
