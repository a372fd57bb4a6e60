-- Reads session $2 of organization $1.
select
    s.organization_id as s_organization_id, s.id as s_id, s.device_id as s_device_id,
    s.event_id as s_event_id, s.gate_id as s_gate_id, s.status as s_status,
    s.started_at as s_started_at, s.ended_at as s_ended_at, s.scan_count as s_scan_count
from sessions s
where s.organization_id = $1 and s.id = $2
