-- Deletes the former entry limits of the first $3 tickets of event $2 of organization $1.
delete from former_entry_limits
where organization_id = $1
    and ticket_id in (
        select t.id
        from tickets t
        where t.organization_id = $1 and t.event_id = $2
        order by t.code
        limit $3
    )
