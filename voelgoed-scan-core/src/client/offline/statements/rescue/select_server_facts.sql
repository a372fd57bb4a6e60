-- Selects what the server said of tickets of a database that was set aside.
select event_id, ticket_key, kind, at, known_at, fact
from server_facts
order by event_id, ticket_key, kind
