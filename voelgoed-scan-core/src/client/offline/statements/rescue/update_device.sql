-- Takes over the device's own state.
-- $1 clock_offset, $2 anchor_server, $3 anchor_wall, $4 anchor_monotonic_ms, $5 anchor_boot_id, $6 can_override,
-- $7 session_event_id, $8 session_gate_id, $9 session_id, $10 refused_code, $11 refused_at, $12 refused_token
update device
set clock_offset = $1,
    anchor_server = $2,
    anchor_wall = $3,
    anchor_monotonic_ms = $4,
    anchor_boot_id = $5,
    can_override = $6,
    session_event_id = $7,
    session_gate_id = $8,
    session_id = $9,
    refused_code = $10,
    refused_at = $11,
    refused_token = $12
