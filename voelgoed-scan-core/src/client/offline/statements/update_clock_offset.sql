-- Stores the measured offset of the clocks.
-- $1 the server's clock minus the device's clock, in milliseconds
update device
set clock_offset = $1
