-- Stores that the server refused a payload, unless something newer is stored.
-- $1 event, $2 SHA-256 of the payload, $3 reason, $4 since when manifests count it
insert into refused_payloads (event_id, payload_sha256, reason, known_at)
values ($1, $2, $3, $4)
on conflict (event_id, payload_sha256) do update
set reason = excluded.reason,
    known_at = excluded.known_at
where refused_payloads.known_at <= excluded.known_at
