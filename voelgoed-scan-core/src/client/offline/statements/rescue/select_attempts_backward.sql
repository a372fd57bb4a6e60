-- Selects the scans under way of a database that was set aside, from its end.
-- An index may be damaged, so the table itself is read.
select scan_id, event_id, payload_sha256, scan, monotonic_ms, boot_id
from attempts not indexed
order by rowid desc
