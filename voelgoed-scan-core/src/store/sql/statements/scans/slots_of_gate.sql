-- Reads the first and the last slot of five seconds in which an event with gate $2 of organization $1 has scans.
select
    min(
        (
            select min(a.slot)
            from arrivals a
            where a.organization_id = $1 and a.event_id = g.event_id
        )
    ) as first_slot,
    max(
        (
            select max(a.slot)
            from arrivals a
            where a.organization_id = $1 and a.event_id = g.event_id
        )
    ) as last_slot
from gates g
where g.organization_id = $1 and g.id = $2
