-- Inserts scans and returns those that were inserted.
-- A scan whose id exists is left as it is and is not returned.
-- $1: the organization. $2 to $24: one array a column, in the order of the columns. One array a
-- column costs PostgreSQL a third of what one JSON array costs.
insert into scans (
    organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id,
    result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source,
    decided_by, override_reason, local_result, metadata, payload_sha256, payload_format,
    payload_kid, shown
)
select $1, r.*
from unnest(
    $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::bytea[], $22::text[],
    $23::text[], $24::text[]
) as r
on conflict (organization_id, scan_id) do nothing
returning scan_id
