-- Reads the former rules of events of organization $2, in the order of the times until which they held.
-- $1: a JSON array of {"k": event}. Ids are 32 hexadecimal digits.
select f.event_id, f.held_until, f.reentry, f.time_zone, f.day_starts_at
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join former_event_rules f on f.organization_id = $2 and f.event_id = k.k
order by f.event_id, f.held_until
