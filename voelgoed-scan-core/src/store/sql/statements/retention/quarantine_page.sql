-- Reads the next quarantined scans of event $2 of organization $1 after device $3 and scan $4, with what they hold besides
-- their columns. $5: the limit.
select device_id, scan_id, upload
from quarantine
where organization_id = $1
    and event_id = $2
    and (device_id, scan_id) > ($3, $4)
order by device_id, scan_id
limit $5
