-- Selects what identifies the payload and the ticket of a scan of the log.
-- $1 scan
select event_id, payload_sha256, verdict
from scans
where scan_id = $1
