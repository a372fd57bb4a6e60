-- Appends a scan to the log.
-- $1 sequence, $2 scan, $3 SHA-256 of the payload, $4 direction, $5 upload JSON, $6 link hash, $7 verdict JSON, $8 event,
-- $9 monotonic clock, $10 boot id, $11 time by the server's clock if it is certain
insert into scans (
    sequence, scan_id, payload_sha256, direction, sent, link, verdict, event_id, monotonic_ms, boot_id, verified_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
