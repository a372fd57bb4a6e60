-- Reads what retries of scans of event $3 are answered from.
-- $1: a JSON array of {"k": scan}. Ids are 32 hexadecimal digits. $2: the organization.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select x.scan_id, x.shown
from jsonb_to_recordset($1::jsonb) as k(k uuid)
cross join lateral (
    select scan_id, shown
    from scans
    where organization_id = $2 and scan_id = k.k and event_id = $3
    offset 0
) x
