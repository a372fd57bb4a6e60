-- Selects why the server refused a payload.
-- $1 event, $2 SHA-256 of the payload
select reason, known_at
from refused_payloads
where event_id = $1
    and payload_sha256 = $2
