-- Selects the payloads that the server refused of a database that was set aside, from its end.
select event_id, payload_sha256, reason, known_at
from refused_payloads
order by event_id desc, payload_sha256 desc
