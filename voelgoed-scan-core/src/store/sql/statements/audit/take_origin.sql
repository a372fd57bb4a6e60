-- Takes the call by which action $3 of scan $2 of organization $1 was made.
delete from scan_origins
where organization_id = $1
    and scan_id = $2
    and action = $3
returning actor_kind, actor_id, actor_name, address, request_id
