-- Selects the verdict of a scan by its id, of the phone or of the server, with what identifies the attempt.
-- $1 scan
select payload_sha256, verdict
from scans
where scan_id = $1
union all
select payload_sha256, verdict
from server_verdicts
where scan_id = $1
limit 1
