-- Writes the log entries of scans that exist.
-- $1: a JSON array of {"k": scan} with the sequence number and the hashes.
-- $2: the organization.
-- `between` holds for every id. It makes PostgreSQL expect few rows to change, and find each scan by its
-- key instead of reading all rows of the organization.
update scans x
set
    sequence = r.sequence, prev_hash = decode(r.prev_hash, 'hex'),
    link_hash = decode(r.link_hash, 'hex')
from jsonb_to_recordset($1::jsonb) as r(
    k uuid, sequence bigint, prev_hash text, link_hash text
)
where x.organization_id = $2
    and x.scan_id = r.k
    and r.k between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
