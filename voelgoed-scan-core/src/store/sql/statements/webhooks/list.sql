-- Reads a page of the webhooks of organization $1 in the order of their ids.
-- $2: the last id of the page before, or null. $3: the limit.
-- One row more than the page is read, which shows whether there is a next page.
select
    w.organization_id, w.id, w.url, w.types, w.event_ids, w.codes, w.description, w.status, w.disabled_reason,
    w.inserted_at, w.updated_at
from webhooks w
where w.organization_id = $1 and ($2 is null or w.id > $2) and w.status <> 'deleted'
order by w.id
limit $3
