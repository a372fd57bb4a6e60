-- Reads entries of the log of device $3 of organization $2.
-- $1: a JSON array of sequence numbers.
select x.scan_id, x.sequence, x.prev_hash, x.link_hash
from jsonb_array_elements_text($1::jsonb) as k(number)
join scans x on x.organization_id = $2 and x.device_id = $3 and x.sequence = k.number::bigint
where x.link_hash is not null
