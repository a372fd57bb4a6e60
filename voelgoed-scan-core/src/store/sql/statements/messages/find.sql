-- Reads the messages that organization $1 replaced.
select texts
from custom_messages
where organization_id = $1
