-- Deletes the first $3 tickets of event $2 of organization $1, in the order of their codes.
delete from tickets
where organization_id = $1
    and id in (
        select t.id
        from tickets t
        where t.organization_id = $1 and t.event_id = $2
        order by t.code
        limit $3
    )
