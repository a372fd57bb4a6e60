-- Takes over a conflict, unless this database has one of the same scan, which may be newer.
-- $1 the losing scan, $2 conflict JSON
insert into conflicts (other_scan_id, conflict)
values ($1, $2)
on conflict do nothing
