-- Reads deleted events of all organizations of which something may be left.
-- $1: the value of `purged`, which is false. $2: the limit.
select organization_id, event_id
from deleted_events
where purged = $1
order by deleted_at
limit $2
