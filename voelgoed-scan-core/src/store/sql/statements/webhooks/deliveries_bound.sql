-- Finds the last of the deliveries of webhook $2 of organization $1, newest first, that one page may read.
-- $3, $4: time and id of the last delivery of the page before. $5: how many deliveries the part holds after its first.
select d.inserted_at, d.id
from webhook_deliveries d
where d.organization_id = $1
    and d.webhook_id = $2
    and d.inserted_at <= $3
    and (d.inserted_at, d.id) < ($3, $4)
order by d.inserted_at desc, d.id desc
limit 1
offset $5
