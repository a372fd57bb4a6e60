-- Takes over one of the verdicts of the server, unless this database has it.
-- $1 scan_id, $2 payload_sha256, $3 verdict, $4 at
insert into server_verdicts (scan_id, payload_sha256, verdict, at)
values ($1, $2, $3, $4)
on conflict do nothing
