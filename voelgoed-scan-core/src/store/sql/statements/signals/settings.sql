-- Reads what organization $1 changed of the figures of signals.
select changes
from signal_settings
where organization_id = $1
