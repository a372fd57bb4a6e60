-- Records a scan before it is sent to the server. A second record of the same scan changes nothing.
-- $1 scan, $2 event, $3 SHA-256 of the payload, $4 scan JSON, $5 monotonic clock, $6 boot id
insert into attempts (scan_id, event_id, payload_sha256, scan, monotonic_ms, boot_id)
values ($1, $2, $3, $4, $5, $6)
on conflict (scan_id) do nothing
