-- Deletes at most $3 former rules of event $2 of organization $1.
delete from former_event_rules
where organization_id = $1
    and event_id = $2
    and held_until in (
        select d.held_until
        from former_event_rules d
        where d.organization_id = $1 and d.event_id = $2
        order by d.held_until
        limit $3
    )
