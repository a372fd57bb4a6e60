-- Takes over one of the scans that the server did not accept, unless this database has it.
-- $1 sequence, $2 scan_id, $3 payload_sha256, $4 direction, $5 sent, $6 link, $7 verdict, $8 status, $9 errors, $10 event_id,
-- $11 seen
insert into scans (
    sequence, scan_id, payload_sha256, direction, sent, link, verdict, status, errors, event_id, seen
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict do nothing
