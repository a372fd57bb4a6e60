-- Selects the device's own state: clock, override permission, session, and whether the server refuses the device.
select
    clock_offset, anchor_server, anchor_wall, anchor_monotonic_ms, anchor_boot_id, can_override, session_event_id,
    session_gate_id, session_id, refused_code, refused_at, refused_token
from device
