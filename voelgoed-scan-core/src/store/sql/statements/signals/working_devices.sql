-- Reads the active devices of every organization that have an active session.
select
    s.organization_id, s.device_id, s.event_id, s.gate_id, s.started_at, d.last_seen_at, d.settings
from sessions s
join devices d on d.organization_id = s.organization_id and d.id = s.device_id
where s.status = 'active' and d.status = 'active'
