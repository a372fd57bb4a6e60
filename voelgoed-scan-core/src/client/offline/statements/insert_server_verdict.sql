-- Stores a verdict of the server. A second record of the same scan changes nothing.
-- $1 scan, $2 SHA-256 of the payload, $3 verdict as JSON, $4 the server's time of the scan
insert into server_verdicts (scan_id, payload_sha256, verdict, at)
values ($1, $2, $3, $4)
on conflict (scan_id) do nothing
