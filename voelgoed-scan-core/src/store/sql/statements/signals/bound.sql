-- Finds the last of the signals of organization $1, newest first, that one page may read.
-- $2, $3: time and id of the last signal of the page before. $4: how many signals the part holds after its first.
select opened_at, id
from signals
where organization_id = $1
    and opened_at <= $2
    and (opened_at, id) < ($2, $3)
order by opened_at desc, id desc
limit 1
offset $4
