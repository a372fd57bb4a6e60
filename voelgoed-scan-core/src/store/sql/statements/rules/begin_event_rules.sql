-- Stores that the present rules of event $2 of organization $1 begin at $3, unless they began later.
update events
set rules_since = $3
where organization_id = $1 and id = $2 and rules_since < $3
