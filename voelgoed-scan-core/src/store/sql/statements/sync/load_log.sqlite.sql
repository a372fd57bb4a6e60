-- Reads entries of the log of device $3 of organization $2.
-- $1: a JSON array of sequence numbers.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select x.scan_id, x.sequence, x.prev_hash, x.link_hash
from json_each($1) k
cross join scans x on x.organization_id = $2 and x.device_id = $3 and x.sequence = k.value
where x.link_hash is not null
