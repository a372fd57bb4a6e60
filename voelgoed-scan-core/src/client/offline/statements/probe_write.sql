-- Writes the device's row without a change, to find out whether the disk takes a write.
update device
set clock_offset = clock_offset
