-- Writes what scans change on tickets.
-- $1: a JSON array of {"i": ticket id} with the new values. $2: the organization.
-- `between` holds for every id. It makes PostgreSQL expect few rows to change, and find each ticket by its
-- key instead of reading all rows of the organization.
update tickets t
set
    status = r.status, scan_count = r.scan_count, ledger = r.ledger, version = r.version,
    updated_at = r.updated_at
from jsonb_to_recordset($1::jsonb) as r(
    i uuid, status text, scan_count bigint, ledger text, version bigint, updated_at bigint
)
where t.organization_id = $2
    and t.id = r.i
    and r.i between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
