-- Stores that the present rules of event $2 of organization $1 begin at $3, unless they began later.
-- $4: the start of the period in which people are counted at that time.
update events
set rules_since = $3, counted_since = $4
where organization_id = $1 and id = $2 and rules_since < $3
