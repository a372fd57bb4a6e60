-- Deletes at most $3 arrivals of event $2 of organization $1.
delete from arrivals
where organization_id = $1
    and event_id = $2
    and slot in (
        select d.slot
        from arrivals d
        where d.organization_id = $1 and d.event_id = $2
        order by d.slot
        limit $3
    )
