-- Inserts scans, with their positions in the feeds of their events, and returns those that were inserted.
-- A scan whose id exists is left as it is and is not returned. Its position stays unused.
-- $1: the organization. $2 to $24: one array a column, in the order of the columns. One array a
-- column costs PostgreSQL a third of what one JSON array costs.
with new as materialized (
    select *
    from unnest(
        $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[],
        $15::bigint[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[],
        $21::bytea[], $22::text[], $23::text[], $24::text[]
    ) with ordinality as r(
        scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id, result, reason,
        would_have_been, direction, scanned_at, device_scanned_at, received_at, source, decided_by,
        override_reason, local_result, metadata, payload_sha256, payload_format, payload_kid,
        shown, i
    )
),
-- Reserves the positions, in one order on every node.
positions as (
    insert into feed_positions (organization_id, event_id, last)
    select $1, event_id, count(*)
    from new
    group by event_id
    order by event_id
    on conflict (organization_id, event_id)
    do update set last = feed_positions.last + excluded.last
    returning event_id, last
)
insert into scans (
    organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id,
    result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source,
    decided_by, override_reason, local_result, metadata, payload_sha256, payload_format,
    payload_kid, shown, feed_position
)
select
    $1, n.scan_id, n.ticket_id, n.ticket_code, n.event_id, n.gate_id, n.device_id, n.session_id,
    n.result, n.reason, n.would_have_been, n.direction, n.scanned_at, n.device_scanned_at,
    n.received_at, n.source, n.decided_by, n.override_reason, n.local_result, n.metadata,
    n.payload_sha256, n.payload_format, n.payload_kid, n.shown,
    p.last + 1 - row_number() over (partition by n.event_id order by n.i desc)
from new n
join positions p on p.event_id = n.event_id
on conflict (organization_id, scan_id) do nothing
returning scan_id
