-- Deletes the refusal of a payload, because the server has accepted the payload since.
-- $1 event, $2 SHA-256 of the payload, $3 since when manifests count the newer answer
delete from refused_payloads
where event_id = $1
    and payload_sha256 = $2
    and known_at <= $3
