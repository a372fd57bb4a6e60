-- Gives media of event $2 of organization $1 to tickets.
-- $3: a JSON array of {"m": SHA-256 of a medium, in hexadecimal, "c": code of the ticket}.
insert into ticket_media (organization_id, medium_sha256, event_id, ticket_code)
select $1, decode(r.m, 'hex'), $2, r.c
from jsonb_to_recordset($3::jsonb) as r(m text, c text)
