-- Clears the personal data of tickets. Their remaining media are given.
-- $1: the organization. $2: now. $3: a JSON array of {"i": ticket, "media": JSON as text or null}.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update tickets
set
    holder_name = null, holder_folded = null, order_ref = null, order_folded = null, note = null,
    seat = null, media = r.value ->> 'media', version = version + 1, updated_at = $2
from (select value from json_each($3) limit -1) r
where tickets.organization_id = $1 and tickets.id = unhex(r.value ->> 'i')
