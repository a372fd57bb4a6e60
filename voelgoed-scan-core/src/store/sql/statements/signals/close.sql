-- Ends signal $2 of organization $1 at $3, unless it has ended. $4: the position of the change.
update signals
set closed_at = $3, closed_position = $4
where organization_id = $1 and id = $2 and closed_at is null
