-- Inserts deliveries of organization $2, due at once, except those that exist.
-- $1: a JSON array of {"k": delivery, "w": webhook, "type", "body", "e": event, "s": scan, "t": ticket, "q": sequence}.
-- `where true` separates the select from `on conflict`, as SQLite's grammar requires.
insert into webhook_deliveries (
    organization_id, id, webhook_id, type, body, event_id, scan_id, ticket_id, sequence, status, next_attempt_at,
    inserted_at
)
select
    $2, unhex(value ->> 'k'), unhex(value ->> 'w'), value ->> 'type', value ->> 'body', unhex(value ->> 'e'),
    unhex(value ->> 's'), unhex(value ->> 't'), value ->> 'q', 'pending', cast(unixepoch('subsec') * 1000 as integer),
    cast(unixepoch('subsec') * 1000 as integer)
from json_each($1)
where true
on conflict (organization_id, id) do nothing
