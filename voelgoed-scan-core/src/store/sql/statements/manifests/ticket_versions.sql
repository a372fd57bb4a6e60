-- Reads a page of the versions of the tickets of event $2 of organization $1.
-- $3: the last code of the page before, or an empty text. $4: the limit.
select t.code, t.version
from tickets t
where t.organization_id = $1
    and t.event_id = $2
    and t.code > $3
order by t.code
limit $4
