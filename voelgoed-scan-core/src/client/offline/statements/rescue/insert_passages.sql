-- Takes over one of the admissions and exits, unless this database has it.
-- $1 scan_id, $2 event_id, $3 ticket_key, $4 direction, $5 reason, $6 at, $7 gate_id, $8 gate_name, $9 known_at
insert into passages (scan_id, event_id, ticket_key, direction, reason, at, gate_id, gate_name, known_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing
