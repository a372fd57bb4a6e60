-- Reads scans of organization $2 for entries of a feed, each as it is now, in the order of their positions.
-- $1: a JSON array of {"p": position, "k": scan, "c": 1 for a change}.
-- Other than `feed/entries`, it leaves out no entry that a later change replaces: a webhook is told of each decision.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select
    e.p as feed_position, e.c as is_change, x.organization_id as x_organization_id, x.scan_id as x_scan_id,
    x.ticket_id as x_ticket_id, x.ticket_code as x_ticket_code, x.event_id as x_event_id,
    x.gate_id as x_gate_id, x.device_id as x_device_id, x.session_id as x_session_id,
    x.result as x_result, x.reason as x_reason, x.would_have_been as x_would_have_been,
    x.direction as x_direction, x.scanned_at as x_scanned_at,
    x.device_scanned_at as x_device_scanned_at, x.received_at as x_received_at,
    x.source as x_source, x.decided_by as x_decided_by, x.override_reason as x_override_reason,
    x.undone_at as x_undone_at, x.undone_reason as x_undone_reason, x.undone_by as x_undone_by,
    x.local_result as x_local_result, x.metadata as x_metadata,
    x.conflict as conflict
from jsonb_to_recordset($1::jsonb) as e(p bigint, k uuid, c bigint)
cross join lateral (
    select *
    from scans
    where organization_id = $2 and scan_id = e.k
    offset 0
) x
order by e.p
