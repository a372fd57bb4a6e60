-- Keeps by which call action $3 of scan $2 of organization $1 was made.
-- $4: kind of the actor. $5: its id. $6: its name. $7: address. $8: request.
insert into scan_origins (
    organization_id, scan_id, action, actor_kind, actor_id, actor_name, address, request_id
)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (organization_id, scan_id, action) do nothing
