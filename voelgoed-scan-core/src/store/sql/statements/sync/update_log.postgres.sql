-- Writes the log entries of scans that exist.
-- $1: a JSON array of {"o": organization, "k": scan} with the sequence number and the hashes.
update scans x
set
    sequence = r.sequence, prev_hash = decode(r.prev_hash, 'hex'),
    link_hash = decode(r.link_hash, 'hex')
from jsonb_to_recordset($1::jsonb) as r(
    o uuid, k uuid, sequence bigint, prev_hash text, link_hash text
)
where x.organization_id = r.o and x.scan_id = r.k
