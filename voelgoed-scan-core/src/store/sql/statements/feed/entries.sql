-- Reads the entries after position $3 in the feed of event $2 of organization $1, in their order: scans, and changes of
-- scans, each with the scan as it is now. $4: the limit. An entry that a later change of the same scan replaces is left out,
-- so that a reader gets each state once. The entry of a scan that was undone stays: its undo is one more entry.
select
    f.feed_position, f.is_change, x.organization_id as x_organization_id, x.scan_id as x_scan_id,
    x.ticket_id as x_ticket_id, x.ticket_code as x_ticket_code, x.event_id as x_event_id,
    x.gate_id as x_gate_id, x.device_id as x_device_id, x.session_id as x_session_id,
    x.result as x_result, x.reason as x_reason, x.would_have_been as x_would_have_been,
    x.direction as x_direction, x.scanned_at as x_scanned_at,
    x.device_scanned_at as x_device_scanned_at, x.received_at as x_received_at,
    x.source as x_source, x.decided_by as x_decided_by, x.override_reason as x_override_reason,
    x.undone_at as x_undone_at, x.undone_reason as x_undone_reason, x.undone_by as x_undone_by,
    x.local_result as x_local_result, x.metadata as x_metadata
from (
    select *
    from (
        select s.feed_position, s.scan_id, cast(0 as bigint) as is_change
        from scans s
        where s.organization_id = $1
            and s.event_id = $2
            and s.feed_position > $3
            and (
                s.undone_at is not null
                or not exists (
                    select 1
                    from scan_changes l
                    where l.organization_id = $1
                        and l.event_id = $2
                        and l.scan_id = s.scan_id
                        and l.feed_position > s.feed_position
                )
            )
        order by s.feed_position
        limit $4
    ) recorded
    union all
    select *
    from (
        select c.feed_position, c.scan_id, cast(1 as bigint) as is_change
        from scan_changes c
        where c.organization_id = $1
            and c.event_id = $2
            and c.feed_position > $3
            and not exists (
                select 1
                from scan_changes l
                where l.organization_id = $1
                    and l.event_id = $2
                    and l.scan_id = c.scan_id
                    and l.feed_position > c.feed_position
            )
        order by c.feed_position
        limit $4
    ) changed
) f
join scans x on x.organization_id = $1 and x.scan_id = f.scan_id
order by f.feed_position
limit $4
