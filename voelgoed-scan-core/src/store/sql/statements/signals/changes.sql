-- Reads the changes of the signals of organization $1 after position $2, in their order: openings and ends. $3: the limit.
select *
from (
    select
        s.opened_position as position, cast(0 as bigint) as is_end,
        s.id as s_id, s.kind, s.event_id, s.gate_id, s.device_id, s.ticket_id, s.opened_at, s.closed_at, s.details,
        s.closed_position
    from signals s
    where s.organization_id = $1 and s.opened_position > $2
    union all
    select
        s.closed_position as position, cast(1 as bigint) as is_end,
        s.id as s_id, s.kind, s.event_id, s.gate_id, s.device_id, s.ticket_id, s.opened_at, s.closed_at, s.details,
        s.closed_position
    from signals s
    where s.organization_id = $1 and s.closed_position > $2
) c
order by position
limit $3
