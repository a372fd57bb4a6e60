-- Writes what scans change on tickets.
-- $1: a JSON array of {"i": ticket id} with the new values. $2: the organization.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update tickets
set
    status = r.value ->> 'status', scan_count = r.value ->> 'scan_count',
    ledger = r.value ->> 'ledger', version = r.value ->> 'version',
    updated_at = r.value ->> 'updated_at'
from (select value from json_each($1) limit -1) r
where tickets.organization_id = $2 and tickets.id = unhex(r.value ->> 'i')
