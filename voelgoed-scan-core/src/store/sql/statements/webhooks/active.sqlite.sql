-- Reads the active webhooks of organization $1.
select
    w.organization_id, w.id, w.url, w.types, w.event_ids, w.codes, w.description, w.status, w.disabled_reason,
    w.inserted_at, w.updated_at
from webhooks w
where w.organization_id = $1 and w.status = 'active'
order by w.id
