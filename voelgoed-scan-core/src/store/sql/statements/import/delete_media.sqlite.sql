-- Takes media of event $2 of organization $1 from their tickets.
-- $3: a JSON array of {"m": SHA-256 of a medium, in hexadecimal}.
delete from ticket_media
where organization_id = $1
    and event_id = $2
    and medium_sha256 in (
        select unhex(value ->> 'm')
        from json_each($3)
    )
