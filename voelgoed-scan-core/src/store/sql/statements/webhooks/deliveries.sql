-- Reads a page of the deliveries of webhook $2 of organization $1, newest first.
-- $3, $4: time and id of the last delivery of the page before. $5: status, or null for any.
-- $6, $7: time and id of the last delivery that may be read. $8: the limit.
-- One row more than the page is read, which shows whether there is a next page.
select
    d.id, d.type, d.status, d.attempts, d.next_attempt_at, d.last_status, d.last_error, d.inserted_at, d.delivered_at
from webhook_deliveries d
where d.organization_id = $1
    and d.webhook_id = $2
    and d.inserted_at between $6 and $3
    and (d.inserted_at, d.id) < ($3, $4)
    and (d.inserted_at, d.id) >= ($6, $7)
    and ($5 is null or d.status = $5)
order by d.inserted_at desc, d.id desc
limit $8
