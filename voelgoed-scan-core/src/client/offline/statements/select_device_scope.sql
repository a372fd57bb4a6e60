-- Reads the events and gates that the device may work at.
select scope
from device_scope
