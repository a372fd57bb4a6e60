-- Selects the scans that the server did not accept of a database that the first version wrote.
-- An index may be damaged, so the table itself is read.
select
    sequence, scan_id, payload_sha256, direction, sent, link, verdict, status, errors,
    null, 0
from scans not indexed
where status in ('rejected', 'quarantined')
order by sequence
