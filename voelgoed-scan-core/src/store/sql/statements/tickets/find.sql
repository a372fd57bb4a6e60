-- Reads the ticket with code $2 of event $3 of organization $1.
select
    t.organization_id as t_organization_id, t.id as t_id, t.event_id as t_event_id,
    t.code as t_code, t.status as t_status, t.ticket_class as t_ticket_class,
    t.gate_ids as t_gate_ids, t.seat as t_seat, t.valid_from as t_valid_from,
    t.valid_until as t_valid_until, t.entry_limit as t_entry_limit, t.scan_count as t_scan_count,
    t.ledger as t_ledger, t.version as t_version, t.note as t_note, t.inserted_at as t_inserted_at,
    t.updated_at as t_updated_at
from tickets t
where t.organization_id = $1
    and t.code = $2
    and t.event_id = $3
    -- The tickets of a deleted event are there for a while.
    and exists (
        select 1
        from events e
        where e.organization_id = $1 and e.id = $3
    )
