-- Reads the next scans of organization $1 after time $3 and id $4, in the order of their times, each with whether it is of
-- event $2. $5: the limit.
select scan_id, scanned_at, (event_id = $2) as is_of_event
from scans
where organization_id = $1
    and scanned_at >= $3
    and (scanned_at, scan_id) > ($3, $4)
order by scanned_at, scan_id
limit $5
