-- Stores the last exchange with the server.
-- $1 the server's clock minus the device's clock in milliseconds, $2 the server's time, $3 the wall clock,
-- $4 the monotonic clock, $5 the boot id
update device
set clock_offset = $1,
    anchor_server = $2,
    anchor_wall = $3,
    anchor_monotonic_ms = $4,
    anchor_boot_id = $5
