-- Reads scans of ticket $2 of organization $1 from $3 until $4, both inclusive, newest first. Undone ones are left out.
-- $5: the limit.
select x.scan_id, x.event_id, x.gate_id, x.scanned_at, x.result, x.direction
from scans x
where x.organization_id = $1
    and x.ticket_id = $2
    and x.scanned_at between $3 and $4
    and x.undone_at is null
order by x.scanned_at desc, x.scan_id desc
limit $5
