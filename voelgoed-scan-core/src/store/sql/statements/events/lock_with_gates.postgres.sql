-- Locks event $2 of organization $1, its gates and their counters, in this order.
-- Admissions that were decided by the old facts are committed before, and later ones wait for the
-- new facts.
-- Each step counts the rows of the step before, so that PostgreSQL cannot reorder the locks.
with e as materialized (
    select id
    from events
    where organization_id = $1 and id = $2
    for update
),
g as materialized (
    select id
    from gates
    where organization_id = $1
        and event_id = $2
        and (select count(*) from e) > 0
    order by id
    for update
)
select o.gate_id
from occupancy o
where (select count(*) from g) > 0
    and o.organization_id = $1
    and o.event_id = $2
order by o.gate_id
for update of o
