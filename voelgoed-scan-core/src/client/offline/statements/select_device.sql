-- Selects the device's own state: clock offset, override permission, session.
select clock_offset, can_override, session_event_id, session_gate_id, session_id
from device
