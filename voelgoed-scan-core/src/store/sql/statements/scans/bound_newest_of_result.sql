-- Finds the last of the scans of organization $1 with result $6, which is not `valid`, newest first, that one page may read.
-- $2, $3: from and until, both inclusive. $4, $5: time and id of the last scan of the page before.
-- $7: how many scans the part holds after its first.
-- The condition on `valid` is that of the index `scans_result`, which leaves valid scans out.
-- The `+` keeps databases from reading by `scans_time`, which fits the conditions on time and id.
select x.scanned_at, x.scan_id
from scans x
where x.organization_id = $1
    and x.result = $6
    and x.result <> 'valid'
    and x.scanned_at between $2 and $3
    and (+x.scanned_at, x.scan_id) < ($4, $5)
order by x.scanned_at desc, x.scan_id desc
limit 1
offset $7
