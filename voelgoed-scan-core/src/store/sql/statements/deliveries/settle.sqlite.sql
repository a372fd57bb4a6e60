-- Writes how attempts of deliveries of organization $2 ended that node $3 has leased, at $4.
-- $1: a JSON array of {"i": delivery, "s": status, "n": wait until the next attempt, "a": 1 if there was an attempt, "c": status of the
-- answer, "e": error}. A delivery that failed meanwhile, because its webhook was disabled, counts as delivered if it was.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update webhook_deliveries
set
    status = case
        when webhook_deliveries.status = 'pending' or r.value ->> 's' = 'delivered' then r.value ->> 's'
        else webhook_deliveries.status
    end,
    attempts = webhook_deliveries.attempts + (r.value ->> 'a'),
    next_attempt_at = case
        when webhook_deliveries.status = 'pending' and r.value ->> 's' = 'pending'
            then coalesce($4 + (r.value ->> 'n'), webhook_deliveries.next_attempt_at)
    end,
    leased_until = null,
    lease_holder = null,
    last_status = case when r.value ->> 'a' = 1 then r.value ->> 'c' else webhook_deliveries.last_status end,
    last_error = case when r.value ->> 'a' = 1 then r.value ->> 'e' else webhook_deliveries.last_error end,
    delivered_at = case when r.value ->> 's' = 'delivered' then $4 else webhook_deliveries.delivered_at end,
    failed_at = case
        when r.value ->> 's' = 'delivered' then null
        when r.value ->> 's' = 'failed' and webhook_deliveries.status = 'pending' then $4
        else webhook_deliveries.failed_at
    end
from (select value from json_each($1) limit -1) r
where webhook_deliveries.organization_id = $2
    and webhook_deliveries.id = unhex(r.value ->> 'i')
    and webhook_deliveries.lease_holder = $3
