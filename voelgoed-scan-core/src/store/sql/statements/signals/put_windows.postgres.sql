-- Writes the windows of devices of organization $2. $1: a JSON array of {"k": device, "w": window as JSON text}.
-- The order is the same on every node, so that two writes do not deadlock.
insert into signal_windows (organization_id, device_id, scans)
select $2, r.k, r.w
from jsonb_to_recordset($1::jsonb) as r(k uuid, w text)
order by r.k
on conflict (organization_id, device_id) do update set scans = excluded.scans
