-- Reads the ids of the gates of event $2 of organization $1, against which an import checks its
-- lines.
select id
from gates
where organization_id = $1 and event_id = $2
