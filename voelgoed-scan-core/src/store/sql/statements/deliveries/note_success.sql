-- Ends the failures of webhook $2 of organization $1.
update webhooks
set failing_since = null
where organization_id = $1 and id = $2 and failing_since is not null
