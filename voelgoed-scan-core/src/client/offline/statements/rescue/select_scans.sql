-- Selects the scans that wait for upload of a database that was set aside.
-- An index may be damaged, so the table itself is read.
select
    sequence, scan_id, payload_sha256, direction, sent, link, verdict,
    event_id, monotonic_ms, boot_id, verified_at
from scans not indexed
where status is null
order by sequence
