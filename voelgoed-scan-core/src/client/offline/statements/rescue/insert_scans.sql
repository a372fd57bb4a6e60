-- Takes over one of the scans that wait for upload, unless this database has it.
-- $1 sequence, $2 scan_id, $3 payload_sha256, $4 direction, $5 sent, $6 link, $7 verdict
insert into scans (sequence, scan_id, payload_sha256, direction, sent, link, verdict)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
