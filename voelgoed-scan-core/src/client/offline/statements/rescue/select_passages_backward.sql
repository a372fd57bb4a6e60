-- Selects the admissions and exits of a database that was set aside, from its end.
-- An index may be damaged, so the table itself is read.
select scan_id, event_id, ticket_key, direction, reason, at, gate_id, gate_name, known_at
from passages not indexed
order by rowid desc
