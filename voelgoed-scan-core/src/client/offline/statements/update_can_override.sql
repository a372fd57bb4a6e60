-- Stores whether the device may override.
-- $1 whether the device may override
update device
set can_override = $1
