-- Takes over one of the scans under way, unless this database has it.
-- $1 scan_id, $2 event_id, $3 payload_sha256, $4 scan, $5 monotonic_ms, $6 boot_id
insert into attempts (scan_id, event_id, payload_sha256, scan, monotonic_ms, boot_id)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
