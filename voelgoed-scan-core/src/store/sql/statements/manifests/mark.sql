-- Reads what shows that the manifest of event $2 of organization $1 may have changed.
-- No row where the event does not exist.
-- The start of the period of the counters is added, because they start from zero in each.
select
    o.change_counter, o.tickets_change_counter,
    cast(
        (
            select coalesce(sum(c.entries + c.exits + c.valid + c.counted_since), 0)
            from occupancy c
            where c.organization_id = $1 and c.event_id = $2
        ) as bigint
    ) as movements,
    (
        select count(*)
        from tickets t
        where t.organization_id = $1 and t.event_id = $2
    ) as listed
from organizations o
where o.id = $1
    and exists (
        select 1
        from events e
        where e.organization_id = $1 and e.id = $2
    )
