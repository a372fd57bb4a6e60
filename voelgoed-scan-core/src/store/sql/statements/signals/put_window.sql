-- Writes the window of device $2 of organization $1. $3: the window as JSON.
insert into signal_windows (organization_id, device_id, scans)
values ($1, $2, $3)
on conflict (organization_id, device_id) do update set scans = excluded.scans
