-- Reads whether event $2 of organization $1 was deleted.
select deleted_at
from deleted_events
where organization_id = $1 and event_id = $2
