-- Selects the verdict of a scan by its id, with what identifies the attempt.
-- $1 scan
select payload_sha256, verdict
from scans
where scan_id = $1
