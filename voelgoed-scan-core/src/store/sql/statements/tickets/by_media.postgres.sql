-- Reads the tickets that have media, at all events of the organization.
-- $1: a JSON array of {"m": SHA-256 of a medium}, in hexadecimal. $2: the organization.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select t.medium_sha256, t.event_id, t.ticket_code
from jsonb_to_recordset($1::jsonb) as k(m text)
cross join lateral (
    select *
    from ticket_media
    where organization_id = $2 and medium_sha256 = decode(k.m, 'hex')
    offset 0
) t
