-- Reads the sessions that device $2 of organization $1 had between $4 and $3.
select id, event_id, gate_id, started_at, ended_at
from sessions
where organization_id = $1
    and device_id = $2
    and started_at <= $3
    and (ended_at is null or ended_at >= $4)
