-- Deletes the copies of manifests of organization $1 that expired before $2, and of event $3 all but the $4 newest.
delete from manifest_copies
where organization_id = $1
    and (
        expires_at < $2
        or (
            event_id = $3
            and tag not in (
                select c.tag
                from manifest_copies c
                where c.organization_id = $1 and c.event_id = $3
                order by c.expires_at desc, c.tag
                limit $4
            )
        )
    )
