-- Takes over one of the admissions and exits, unless this database has it. Its place in the log follows from the times:
-- an earlier version did not record it.
-- $1 scan_id, $2 event_id, $3 ticket_key, $4 direction, $5 reason, $6 at, $7 gate_id, $8 gate_name, $9 known_at
insert into passages (
    scan_id, event_id, ticket_key, direction, reason, at, gate_id, gate_name, known_at, log_sequence
)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce(max(sequence), 0)
from scans
where cast(round(unixepoch(verdict ->> '$.scanned_at', 'subsec') * 1000) as integer) <= $6
on conflict do nothing
