-- Locks event $2 of organization $1 against another import, which would append to its ticket
-- classes too.
-- `no key update` lets admissions go on.
select id
from events
where organization_id = $1 and id = $2
for no key update
