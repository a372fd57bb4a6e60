-- Reads the windows of some devices of organization $2, with the settings of the devices.
-- $1: a JSON array of {"k": device}. Ids are 32 hexadecimal digits.
select d.id, d.settings, w.scans
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join devices d on d.organization_id = $2 and d.id = k.k
left join signal_windows w on w.organization_id = $2 and w.device_id = k.k
