-- Reads scans of organization $2 for entries of a feed, each as it is now, in the order of their positions.
-- $1: a JSON array of {"p": position, "k": scan, "c": 1 for a change}.
-- Other than `feed/entries`, it leaves out no entry that a later change replaces: a webhook is told of each decision.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select
    k.value ->> 'p' as feed_position, k.value ->> 'c' as is_change, x.organization_id as x_organization_id, x.scan_id as x_scan_id,
    x.ticket_id as x_ticket_id, x.ticket_code as x_ticket_code, x.event_id as x_event_id,
    x.gate_id as x_gate_id, x.device_id as x_device_id, x.session_id as x_session_id,
    x.result as x_result, x.reason as x_reason, x.would_have_been as x_would_have_been,
    x.direction as x_direction, x.scanned_at as x_scanned_at,
    x.device_scanned_at as x_device_scanned_at, x.received_at as x_received_at,
    x.source as x_source, x.decided_by as x_decided_by, x.override_reason as x_override_reason,
    x.undone_at as x_undone_at, x.undone_reason as x_undone_reason, x.undone_by as x_undone_by,
    x.local_result as x_local_result, x.metadata as x_metadata,
    x.conflict as conflict
from json_each($1) k
cross join scans x on x.organization_id = $2 and x.scan_id = unhex(k.value ->> 'k')
order by k.value ->> 'p'
