-- Begins the failures of webhook $2 of organization $1 at $3, if they have not begun before.
update webhooks
set failing_since = $3
where organization_id = $1 and id = $2 and failing_since is null
