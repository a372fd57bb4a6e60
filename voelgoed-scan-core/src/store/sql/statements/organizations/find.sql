-- Reads organization $1.
select id, name, inserted_at
from organizations
where id = $1
