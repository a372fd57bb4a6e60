-- Writes what scans change on tickets.
-- $1: a JSON array of {"o": organization, "i": ticket id} with the new values.
update tickets t
set
    status = r.status, scan_count = r.scan_count, ledger = r.ledger, version = r.version,
    updated_at = r.updated_at
from jsonb_to_recordset($1::jsonb) as r(
    o uuid, i uuid, status text, scan_count bigint, ledger text, version bigint, updated_at bigint
)
where t.organization_id = r.o and t.id = r.i
