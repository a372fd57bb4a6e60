-- Selects the ticket and the gate of an admission or exit by its scan.
-- $1 scan
select event_id, ticket_key, gate_id
from passages
where scan_id = $1
