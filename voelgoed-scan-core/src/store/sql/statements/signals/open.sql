-- Reads the open signals of every organization.
select
    s.organization_id,
    s.id as s_id, s.kind, s.event_id, s.gate_id, s.device_id, s.ticket_id, s.opened_at, s.closed_at, s.details
from signals s
where s.closed_at is null
