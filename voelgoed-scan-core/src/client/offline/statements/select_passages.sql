-- Selects the admissions and exits of a ticket on this phone, in the order of time.
-- $1 event, $2 ticket key
select scan_id, direction, reason, at, gate_id, gate_name, known_at
from passages
where event_id = $1
    and ticket_key = $2
order by at, scan_id
