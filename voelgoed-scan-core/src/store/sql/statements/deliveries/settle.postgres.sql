-- Writes how attempts of deliveries of organization $2 ended that node $3 has leased, at $4.
-- $1: a JSON array of {"i": delivery, "s": status, "n": wait until the next attempt, "a": 1 if there was an attempt, "c": status of the
-- answer, "e": error}. A delivery that failed meanwhile, because its webhook was disabled, counts as delivered if it was.
-- `between` holds for every id. It makes PostgreSQL expect few rows to change, and find each delivery by its key.
update webhook_deliveries d
set
    status = case when d.status = 'pending' or r.s = 'delivered' then r.s else d.status end,
    attempts = d.attempts + r.a,
    next_attempt_at = case when d.status = 'pending' and r.s = 'pending' then coalesce($4 + r.n, d.next_attempt_at) end,
    leased_until = null,
    lease_holder = null,
    last_status = case when r.a = 1 then r.c else d.last_status end,
    last_error = case when r.a = 1 then r.e else d.last_error end,
    delivered_at = case when r.s = 'delivered' then $4 else d.delivered_at end,
    failed_at = case
        when r.s = 'delivered' then null
        when r.s = 'failed' and d.status = 'pending' then $4
        else d.failed_at
    end
from jsonb_to_recordset($1::jsonb) as r(i uuid, s text, n bigint, a bigint, c bigint, e text)
where d.organization_id = $2
    and d.id = r.i
    and d.lease_holder = $3
    and r.i between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
