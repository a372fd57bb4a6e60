-- Appends a scan to the log.
-- $1 sequence, $2 scan, $3 SHA-256 of the payload, $4 direction, $5 upload JSON, $6 link hash, $7 verdict JSON
insert into scans (sequence, scan_id, payload_sha256, direction, sent, link, verdict)
values ($1, $2, $3, $4, $5, $6, $7)
