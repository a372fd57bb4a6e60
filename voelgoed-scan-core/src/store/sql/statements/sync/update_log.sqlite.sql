-- Writes the log entries of scans that exist.
-- $1: a JSON array of {"k": scan} with the sequence number and the hashes.
-- $2: the organization.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update scans
set
    sequence = r.value ->> 'sequence', prev_hash = unhex(r.value ->> 'prev_hash'),
    link_hash = unhex(r.value ->> 'link_hash')
from (select value from json_each($1) limit -1) r
where scans.organization_id = $2 and scans.scan_id = unhex(r.value ->> 'k')
