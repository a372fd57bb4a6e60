-- Finds the last of the sessions of organization $1, newest first, that one page may read.
-- $2, $3: start and id of the last session of the page before. $4: how many sessions the part holds
-- after its first.
select s.started_at, s.id
from sessions s
where s.organization_id = $1
    and s.started_at <= $2
    and (s.started_at, s.id) < ($2, $3)
order by s.started_at desc, s.id desc
limit 1
offset $4
