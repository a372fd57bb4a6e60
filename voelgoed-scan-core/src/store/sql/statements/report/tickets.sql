-- Counts the tickets of event $2 of organization $1 in a part of its tickets, those that are alike together.
-- $3: the last code of the part before. $4: the last code of the part.
-- A ledger without an admission has an empty list under the key `a`.
select
    t.ticket_class, t.status,
    cast(case when t.ledger like '%"a":[]%' then 0 else 1 end as bigint) as came,
    count(*) as tickets
from tickets t
where t.organization_id = $1
    and t.event_id = $2
    and t.code > $3
    and t.code <= $4
group by 1, 2, 3
