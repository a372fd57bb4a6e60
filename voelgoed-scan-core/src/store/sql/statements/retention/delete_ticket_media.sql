-- Deletes at most $3 tickets of media of event $2 of organization $1.
delete from ticket_media
where organization_id = $1
    and event_id = $2
    and medium_sha256 in (
        select d.medium_sha256
        from ticket_media d
        where d.organization_id = $1 and d.event_id = $2
        order by d.medium_sha256
        limit $3
    )
