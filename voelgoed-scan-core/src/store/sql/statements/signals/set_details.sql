-- Writes what signal $2 of organization $1 was found by. $3: details as JSON.
update signals
set details = $3
where organization_id = $1 and id = $2
