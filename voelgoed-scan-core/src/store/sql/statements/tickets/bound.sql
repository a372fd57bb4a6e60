-- Finds the last of the tickets of event $2 of organization $1, in the order of their codes, that one
-- page may read.
-- $3: the last code of the page before, or an empty text. $4: how many tickets the part holds after
-- its first.
select t.code
from tickets t
where t.organization_id = $1
    and t.event_id = $2
    and t.code > $3
order by t.code
limit 1
offset $4
