-- Selects what the server said of a ticket.
-- $1 event, $2 ticket key
select kind, at, known_at, fact
from server_facts
where event_id = $1
    and ticket_key = $2
