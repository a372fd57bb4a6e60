-- Adds scans to the arrivals of events.
-- $1: a JSON array of {"o": organization, "e": event, "slot": five seconds, "n": scans}.
insert into arrivals (organization_id, event_id, slot, scans)
select o, e, slot, n
from jsonb_to_recordset($1::jsonb) as r(o uuid, e uuid, slot bigint, n bigint)
on conflict (organization_id, event_id, slot) do update set scans = arrivals.scans + excluded.scans
