-- Inserts uploaded scans, with their positions in the feeds of their events. A scan whose id exists
-- is left as it is.
-- $1: a JSON array of rows, whose keys are the names of the columns. $2: the organization.
with new as materialized (
    select r.*, l.i
    from jsonb_array_elements($1::jsonb) with ordinality as l(line, i)
    cross join lateral jsonb_to_record(l.line) as r(
        scan_id uuid, ticket_id uuid, ticket_code text, event_id uuid, gate_id uuid,
        device_id uuid, session_id uuid, result text, reason text, would_have_been text,
        direction text, scanned_at bigint, device_scanned_at bigint, received_at bigint,
        source text, decided_by text, override_reason text, local_result text, metadata text,
        payload_sha256 text, payload_format text, payload_kid text, shown text, part text,
        conflict text, winner_scan_id uuid, local_reason text, sequence bigint, prev_hash text,
        link_hash text
    )
),
-- Reserves the positions, in one order on every node.
positions as (
    insert into feed_positions (organization_id, event_id, last)
    select $2, event_id, count(*)
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
    payload_kid, shown, part, conflict, winner_scan_id, local_reason, sequence, prev_hash,
    link_hash, feed_position
)
select
    $2, n.scan_id, n.ticket_id, n.ticket_code, n.event_id, n.gate_id, n.device_id, n.session_id,
    n.result, n.reason, n.would_have_been, n.direction, n.scanned_at, n.device_scanned_at,
    n.received_at, n.source, n.decided_by, n.override_reason, n.local_result, n.metadata,
    decode(n.payload_sha256, 'hex'), n.payload_format, n.payload_kid, n.shown, n.part, n.conflict,
    n.winner_scan_id, n.local_reason, n.sequence, decode(n.prev_hash, 'hex'),
    decode(n.link_hash, 'hex'),
    p.last + 1 - row_number() over (partition by n.event_id order by n.i desc)
from new n
join positions p on p.event_id = n.event_id
on conflict (organization_id, scan_id) do nothing
