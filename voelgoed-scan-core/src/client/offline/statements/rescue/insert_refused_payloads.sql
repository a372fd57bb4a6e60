-- Takes over one of the payloads that the server refused, unless this database has it.
-- $1 event_id, $2 payload_sha256, $3 reason, $4 known_at
insert into refused_payloads (event_id, payload_sha256, reason, known_at)
values ($1, $2, $3, $4)
on conflict do nothing
