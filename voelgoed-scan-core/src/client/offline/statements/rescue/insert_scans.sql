-- Takes over one of the scans that wait for upload, unless this database has it.
-- $1 sequence, $2 scan_id, $3 payload_sha256, $4 direction, $5 sent, $6 link, $7 verdict, $8 event_id, $9 monotonic_ms,
-- $10 boot_id, $11 verified_at
insert into scans (
    sequence, scan_id, payload_sha256, direction, sent, link, verdict, event_id, monotonic_ms, boot_id, verified_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict do nothing
