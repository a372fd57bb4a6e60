-- Writes the windows of devices of organization $2. $1: a JSON array of {"k": device, "w": window as JSON text}.
-- SQLite needs `where true` before `on conflict`.
insert into signal_windows (organization_id, device_id, scans)
select $2, unhex(r.value ->> 'k'), r.value ->> 'w'
from json_each($1) r
where true
on conflict (organization_id, device_id) do update set scans = excluded.scans
