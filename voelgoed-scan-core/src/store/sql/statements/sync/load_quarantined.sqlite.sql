-- Reads which scans of device $3 of organization $2 are in quarantine, with their events, gates and corrected times.
-- $1: a JSON array of scan ids.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select q.scan_id, q.event_id, q.gate_id, q.scanned_at
from json_each($1) k
cross join quarantine q on q.organization_id = $2
    and q.device_id = $3
    and q.scan_id = unhex(k.value)
