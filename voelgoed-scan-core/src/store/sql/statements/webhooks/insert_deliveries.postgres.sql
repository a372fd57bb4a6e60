-- Inserts deliveries of organization $2, due at once by the clock of the database, except those that exist.
-- $1: a JSON array of {"k": delivery, "w": webhook, "type", "body", "e": event, "s": scan, "t": ticket, "q": sequence}.
insert into webhook_deliveries (
    organization_id, id, webhook_id, type, body, event_id, scan_id, ticket_id, sequence, status, next_attempt_at,
    inserted_at
)
select
    $2, k, w, type, body, e, s, t, q, 'pending', (extract(epoch from clock_timestamp()) * 1000)::bigint,
    (extract(epoch from clock_timestamp()) * 1000)::bigint
from jsonb_to_recordset($1::jsonb) as r(k uuid, w uuid, type text, body text, e uuid, s uuid, t uuid, q bigint)
on conflict (organization_id, id) do nothing
