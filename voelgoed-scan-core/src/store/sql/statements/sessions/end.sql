-- Ends session $2 of organization $1 at $3, if it is active.
update sessions
set status = 'ended', ended_at = $3
where organization_id = $1
    and id = $2
    and status = 'active'
