-- Changes device $2 of organization $1. A null leaves the column as it is.
-- $3: name. $4: status. $5: settings as JSON. $6: now. $7: scope as JSON.
-- Changes no row where a revoked device would become active again.
update devices
set
    name = coalesce($3, name), status = coalesce($4, status), settings = coalesce($5, settings),
    scope = coalesce($7, scope), updated_at = $6
where organization_id = $1
    and id = $2
    and (not revoked or coalesce($4, 'inactive') <> 'active')
