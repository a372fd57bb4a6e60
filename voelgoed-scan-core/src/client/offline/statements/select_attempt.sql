-- Selects what a scan under way has beyond its request: the event, the payload's hash, and the clock.
-- $1 scan
select event_id, payload_sha256, monotonic_ms, boot_id
from attempts
where scan_id = $1
