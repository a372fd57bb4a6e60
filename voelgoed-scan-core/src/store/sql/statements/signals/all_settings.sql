-- Reads what every organization changed of the figures of signals.
select organization_id, changes
from signal_settings
