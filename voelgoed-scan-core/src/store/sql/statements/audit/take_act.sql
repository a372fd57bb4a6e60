-- Takes action $3 of scan $2 of organization $1, which is entered now. Changes no row if another node has taken it.
delete from pending_audit_acts
where organization_id = $1
    and scan_id = $2
    and action = $3
returning recorded_at, actor_kind, actor_id, actor_name, address, request_id
