-- Reads the windows of some devices of organization $2, with the settings of the devices.
-- $1: a JSON array of {"k": device}. Ids are 32 hexadecimal digits.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select d.id, d.settings, w.scans
from json_each($1) k
cross join devices d on d.organization_id = $2 and d.id = unhex(k.value ->> 'k')
left join signal_windows w on w.organization_id = $2 and w.device_id = d.id
