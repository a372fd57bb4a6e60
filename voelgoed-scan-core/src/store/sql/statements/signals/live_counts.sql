-- Reads the counters of the gates of those events, with the capacity of each gate.
select o.organization_id, o.event_id, o.gate_id, o.entries, o.exits, o.counted_since, g.capacity
from events e
join occupancy o on o.organization_id = e.organization_id and o.event_id = e.id
join gates g on g.organization_id = e.organization_id and g.event_id = e.id and g.id = o.gate_id
where e.status in ('live', 'postponed')
