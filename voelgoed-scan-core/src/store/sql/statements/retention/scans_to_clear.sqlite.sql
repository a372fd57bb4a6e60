-- Reads what retries of scans of event $3 are answered from.
-- $1: a JSON array of {"k": scan}. Ids are 32 hexadecimal digits. $2: the organization.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select x.scan_id, x.shown
from json_each($1) k
cross join scans x on x.organization_id = $2
    and x.scan_id = unhex(k.value ->> 'k')
    and x.event_id = $3
