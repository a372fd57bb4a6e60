-- Finds the last of the devices of organization $1, in the order of their ids, that one page may read.
-- $2: the last id of the page before, or the zero id. $3: how many devices the part holds after its first.
select d.id
from devices d
where d.organization_id = $1 and d.id > $2
order by d.id
limit 1
offset $3
