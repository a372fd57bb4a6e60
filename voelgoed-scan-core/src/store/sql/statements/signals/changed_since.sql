-- Reads the signals of event $2 of organization $1 that opened or ended at or after $3, in the order of their openings.
-- $4: the limit. `position` is that of the last change.
select
    coalesce(s.closed_position, s.opened_position) as position,
    s.id as s_id, s.kind, s.event_id, s.gate_id, s.device_id, s.ticket_id, s.opened_at, s.closed_at, s.details
from signals s
where s.organization_id = $1
    and s.event_id = $2
    and (s.opened_at >= $3 or s.closed_at >= $3)
order by s.opened_at desc, s.id desc
limit $4
