-- Finds the last of the scans of device $6 of organization $1, newest first, that one page may read.
-- $2, $3: from and until, both inclusive. $4, $5: time and id of the last scan of the page before.
-- $7: how many scans the part holds after its first.
-- The device is part of the comparisons, because SQLite would otherwise read by the time alone.
select x.scanned_at, x.scan_id
from scans x
where x.organization_id = $1
    and (x.device_id, x.scanned_at, x.scan_id) < ($6, $4, $5)
    and (x.device_id, x.scanned_at) >= ($6, $2)
    and x.scanned_at <= $3
order by x.device_id desc, x.scanned_at desc, x.scan_id desc
limit 1
offset $7
