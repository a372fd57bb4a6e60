-- Reads which feeds have entries that a webhook has not read, in a random order, so that none waits for ever. $1: the
-- limit. Only active webhooks that want scans have cursors that advance.
select w.organization_id, w.id, p.event_id
from webhooks w
join feed_positions p on p.organization_id = w.organization_id
left join feed_cursors c
    on c.organization_id = w.organization_id
    and c.consumer = 'webhook:' || lower(hex(w.id))
    and c.event_id = p.event_id
where w.status = 'active'
    and w.types like '%"scan.%'
    and p.last > coalesce(c.position, 0)
order by random()
limit $1
