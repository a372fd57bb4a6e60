-- Reads a page of the scans of ticket code $9 of organization $1, oldest first: those of the ticket, and those of the
-- code from before the ticket existed.
-- $2, $3: from and until, both inclusive. $4, $5: time and id of the last scan of the page before.
-- $6: event. $7: gate. $8: device. $9: ticket code. $10: result. $11: session. A null is any.
-- $12, $13: time and id of the last scan that may be read. $14: the limit. One row more than the page is read, which
-- shows whether there is a next page.
select *
from (
    select *
    from (
        select
            x.organization_id as x_organization_id, x.scan_id as x_scan_id, x.ticket_id as x_ticket_id,
            x.ticket_code as x_ticket_code, x.event_id as x_event_id, x.gate_id as x_gate_id,
            x.device_id as x_device_id, x.session_id as x_session_id, x.result as x_result,
            x.reason as x_reason, x.would_have_been as x_would_have_been, x.direction as x_direction,
            x.scanned_at as x_scanned_at, x.device_scanned_at as x_device_scanned_at,
            x.received_at as x_received_at, x.source as x_source, x.decided_by as x_decided_by,
            x.override_reason as x_override_reason, x.undone_at as x_undone_at,
            x.undone_reason as x_undone_reason, x.undone_by as x_undone_by,
            x.local_result as x_local_result, x.metadata as x_metadata
        from scans x
        where x.organization_id = $1
            and x.ticket_id = (
                select t.id
                from tickets t
                where t.organization_id = $1 and t.code = $9
            )
            and x.scanned_at between $2 and $3
            and (x.scanned_at, x.scan_id) > ($4, $5)
            and (x.scanned_at, x.scan_id) <= ($12, $13)
            and ($6 is null or x.event_id = $6)
            and ($7 is null or x.gate_id = $7)
            and ($8 is null or x.device_id = $8)
            and ($10 is null or x.result = $10)
            and ($11 is null or x.session_id = $11)
        order by x.scanned_at, x.scan_id
        limit $14
    ) known
    union all
    select *
    from (
        select
            x.organization_id as x_organization_id, x.scan_id as x_scan_id, x.ticket_id as x_ticket_id,
            x.ticket_code as x_ticket_code, x.event_id as x_event_id, x.gate_id as x_gate_id,
            x.device_id as x_device_id, x.session_id as x_session_id, x.result as x_result,
            x.reason as x_reason, x.would_have_been as x_would_have_been, x.direction as x_direction,
            x.scanned_at as x_scanned_at, x.device_scanned_at as x_device_scanned_at,
            x.received_at as x_received_at, x.source as x_source, x.decided_by as x_decided_by,
            x.override_reason as x_override_reason, x.undone_at as x_undone_at,
            x.undone_reason as x_undone_reason, x.undone_by as x_undone_by,
            x.local_result as x_local_result, x.metadata as x_metadata
        from scans x
        where x.organization_id = $1
            and x.ticket_id is null
            and x.ticket_code = $9
            and x.scanned_at between $2 and $3
            and (x.scanned_at, x.scan_id) > ($4, $5)
            and (x.scanned_at, x.scan_id) <= ($12, $13)
            and ($6 is null or x.event_id = $6)
            and ($7 is null or x.gate_id = $7)
            and ($8 is null or x.device_id = $8)
            and ($10 is null or x.result = $10)
            and ($11 is null or x.session_id = $11)
        order by x.scanned_at, x.scan_id
        limit $14
    ) unmatched
) x
order by x_scanned_at, x_scan_id
limit $14
