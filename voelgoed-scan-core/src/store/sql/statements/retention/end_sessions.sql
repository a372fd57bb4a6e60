-- Ends the active sessions at event $2 of organization $1 at $3.
update sessions
set status = 'ended', ended_at = $3
where organization_id = $1 and event_id = $2 and status = 'active'
