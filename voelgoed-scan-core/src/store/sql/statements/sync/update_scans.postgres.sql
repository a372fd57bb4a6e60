-- Writes what an upload changes on scans that exist.
-- $1: a JSON array of {"k": scan} with the new values. $2: the organization.
-- `between` holds for every id. It makes PostgreSQL expect few rows to change, and find each scan by its
-- key instead of reading all rows of the organization.
update scans x
set
    result = r.result, reason = r.reason, would_have_been = r.would_have_been,
    local_result = r.local_result, part = r.part, conflict = r.conflict,
    winner_scan_id = r.winner_scan_id, undone_at = r.undone_at, undone_reason = r.undone_reason,
    undone_by = r.undone_by
from jsonb_to_recordset($1::jsonb) as r(
    k uuid, result text, reason text, would_have_been text, local_result text, part text,
    conflict text, winner_scan_id uuid, undone_at bigint, undone_reason text, undone_by uuid
)
where x.organization_id = $2
    and x.scan_id = r.k
    and r.k between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
