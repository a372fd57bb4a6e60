-- Selects the scans that wait for upload of a database that the first version wrote, from its end.
-- An index may be damaged, so the table itself is read.
select
    sequence, scan_id, payload_sha256, direction, sent, link, verdict,
    null, null, null, null
from scans not indexed
where status is null
order by sequence desc
