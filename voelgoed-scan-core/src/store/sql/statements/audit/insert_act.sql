-- Keeps that action $3 of scan $2 of organization $1 has to be entered in the audit log.
-- $4: time. $5: kind of the actor. $6: its id. $7: its name. $8: address. $9: request.
insert into pending_audit_acts (
    organization_id, scan_id, action, recorded_at, actor_kind, actor_id, actor_name, address,
    request_id
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (organization_id, scan_id, action) do nothing
