-- Has the deliveries of webhook $3 of organization $2 that follow a delivery of their ticket wait as long as that one does.
-- They are not looked at meanwhile. $1: a JSON array of {"t": ticket, "q": its sequence, "n": its wait}. $4: the time.
-- `limit -1` makes SQLite read the JSON array first and find each ticket by its key.
update webhook_deliveries
set next_attempt_at = $4 + (r.value ->> 'n')
from (select value from json_each($1) limit -1) r
where webhook_deliveries.organization_id = $2
    and webhook_deliveries.webhook_id = $3
    and webhook_deliveries.status = 'pending'
    and webhook_deliveries.ticket_id = unhex(r.value ->> 't')
    and webhook_deliveries.sequence > r.value ->> 'q'
    and webhook_deliveries.next_attempt_at < $4 + (r.value ->> 'n')
