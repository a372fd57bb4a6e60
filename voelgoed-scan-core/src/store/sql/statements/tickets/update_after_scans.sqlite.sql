-- Writes what scans change on tickets.
-- $1: a JSON array of {"o": organization, "i": ticket id} with the new values.
update tickets
set
    status = r.value ->> 'status', scan_count = r.value ->> 'scan_count',
    ledger = r.value ->> 'ledger', version = r.value ->> 'version',
    updated_at = r.value ->> 'updated_at'
from json_each($1) r
where tickets.organization_id = unhex(r.value ->> 'o') and tickets.id = unhex(r.value ->> 'i')
