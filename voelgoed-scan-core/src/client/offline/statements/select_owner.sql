-- Selects the device that the database belongs to.
select organization_id, device_id
from device
