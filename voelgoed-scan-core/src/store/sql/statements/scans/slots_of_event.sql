-- Reads the first and the last slot of five seconds in which event $2 of organization $1 has scans.
select min(a.slot) as first_slot, max(a.slot) as last_slot
from arrivals a
where a.organization_id = $1 and a.event_id = $2
