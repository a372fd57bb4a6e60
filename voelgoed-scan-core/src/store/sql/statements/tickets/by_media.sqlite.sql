-- Reads the tickets that have media, at all events of the organization.
-- $1: a JSON array of {"m": SHA-256 of a medium}, in hexadecimal. $2: the organization.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select t.medium_sha256, t.event_id, t.ticket_code
from json_each($1) k
cross join ticket_media t on t.organization_id = $2 and t.medium_sha256 = unhex(k.value ->> 'm')
