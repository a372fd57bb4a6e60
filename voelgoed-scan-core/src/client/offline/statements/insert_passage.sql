-- Records an admission or exit after the last scan of the log. A second record of the same scan changes nothing.
-- $1 scan, $2 event, $3 ticket key, $4 direction, $5 reason, $6 time, $7 gate, $8 gate name,
-- $9 since when the server's manifests count it; null until the server has it
insert into passages (
    scan_id, event_id, ticket_key, direction, reason, at, gate_id, gate_name, known_at, log_sequence
)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce(max(sequence), 0)
from scans
where true
on conflict (scan_id) do nothing
