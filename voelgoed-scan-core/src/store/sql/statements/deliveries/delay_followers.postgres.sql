-- Has the deliveries of webhook $3 of organization $2 that follow a delivery of their ticket wait as long as that one does.
-- They are not looked at meanwhile. $1: a JSON array of {"t": ticket, "q": its sequence, "n": its wait}. $4: the time.
-- `between` holds for every id. It makes PostgreSQL find each ticket by its key.
update webhook_deliveries d
set next_attempt_at = $4 + r.n
from jsonb_to_recordset($1::jsonb) as r(t uuid, q bigint, n bigint)
where d.organization_id = $2
    and d.webhook_id = $3
    and d.status = 'pending'
    and d.ticket_id = r.t
    and d.sequence > r.q
    and d.next_attempt_at < $4 + r.n
    and r.t between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
