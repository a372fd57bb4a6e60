-- Reads deleted events of all organizations of which something may be left, in the order of their ids.
-- $1: the value of `purged`, which is false. $2: the limit. $3 and $4: the organization and the event of the last row read.
select organization_id, event_id
from deleted_events
where purged = $1
    and (organization_id, event_id) > ($3, $4)
order by organization_id, event_id
limit $2
