-- Finds the last scan of the part of the audit trail of organization $1, oldest first, that one page may read.
-- $2, $3: from and until, both inclusive. $4, $5: time and id of the last scan of the page before.
-- $6: how many scans the part holds after its first.
select x.scanned_at, x.scan_id
from scans x
where x.organization_id = $1
    and x.scanned_at between $2 and $3
    and (x.scanned_at, x.scan_id) > ($4, $5)
order by x.scanned_at, x.scan_id
limit 1
offset $6
