-- Adds scans to the arrivals of events.
-- $1: a JSON array of {"e": event, "slot": five seconds, "n": scans}. $2: the organization.
insert into arrivals (organization_id, event_id, slot, scans)
select $2, e, slot, n
from jsonb_to_recordset($1::jsonb) as r(e uuid, slot bigint, n bigint)
on conflict (organization_id, event_id, slot) do update set scans = arrivals.scans + excluded.scans
