-- Reads which feeds have entries that consumer $1 has not read, in a random order, so that none waits for ever. $2: the limit.
select p.organization_id, p.event_id, p.last, coalesce(c.position, 0) as position
from feed_positions p
left join feed_cursors c
    on c.organization_id = p.organization_id and c.event_id = p.event_id and c.consumer = $1
where p.last > coalesce(c.position, 0)
order by random()
limit $2
