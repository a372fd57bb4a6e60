-- Selects the device's own state of a database that was set aside, unless it belongs to another device.
-- $1 organization, $2 device
select
    clock_offset, anchor_server, anchor_wall, anchor_monotonic_ms, anchor_boot_id, can_override, session_event_id,
    session_gate_id, session_id, refused_code, refused_at, refused_token
from device
where organization_id = $1 and device_id = $2
