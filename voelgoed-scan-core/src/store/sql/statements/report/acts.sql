-- Reads the forced entries and the undone admissions of event $2 of organization $1 in a part of the audit trail.
-- $3, $4: time and id of the last scan of the part before. $5, $6: time and id of the last scan of the part.
-- $7: the limit.
-- Who undid an admission is in the audit log, or soon will be, unless it was a device.
select
    x.scan_id, x.ticket_code, x.gate_id, x.device_id, x.scanned_at, x.reason, x.would_have_been,
    x.override_reason, x.undone_at, x.undone_reason, x.undone_by, d.name as device_name,
    u.name as undone_by_name, a.content as undo_entry, p.actor_kind, p.actor_id, p.actor_name
from scans x
left join devices d on d.organization_id = $1 and d.id = x.device_id
left join devices u on u.organization_id = $1 and u.id = x.undone_by
left join audit_entries a
    on a.organization_id = $1 and a.scan_id = x.scan_id and a.action = 'scan.undo'
left join pending_audit_acts p
    on p.organization_id = $1 and p.scan_id = x.scan_id and p.action = 'scan.undo'
where x.organization_id = $1
    and x.event_id = $2
    and x.scanned_at between $3 and $5
    and (x.scanned_at, x.scan_id) > ($3, $4)
    and (x.scanned_at, x.scan_id) <= ($5, $6)
    and (x.reason = 'overridden' or x.undone_at is not null)
order by x.scanned_at, x.scan_id
limit $7
