-- Writes the log entries of scans that exist.
-- $1: a JSON array of {"o": organization, "k": scan} with the sequence number and the hashes.
update scans
set
    sequence = r.value ->> 'sequence', prev_hash = unhex(r.value ->> 'prev_hash'),
    link_hash = unhex(r.value ->> 'link_hash')
from json_each($1) r
where scans.organization_id = unhex(r.value ->> 'o') and scans.scan_id = unhex(r.value ->> 'k')
