-- Writes what an upload changes on scans that exist.
-- $1: a JSON array of {"k": scan} with the new values. $2: the organization.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update scans
set
    result = r.value ->> 'result', reason = r.value ->> 'reason',
    would_have_been = r.value ->> 'would_have_been', local_result = r.value ->> 'local_result',
    part = r.value ->> 'part', conflict = r.value ->> 'conflict',
    winner_scan_id = unhex(r.value ->> 'winner_scan_id'), undone_at = r.value ->> 'undone_at',
    undone_reason = r.value ->> 'undone_reason', undone_by = unhex(r.value ->> 'undone_by')
from (select value from json_each($1) limit -1) r
where scans.organization_id = $2 and scans.scan_id = unhex(r.value ->> 'k')
