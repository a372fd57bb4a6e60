-- Stores a conflict, unless one of the same scan is stored, which may say more.
-- $1 the losing scan, $2 conflict JSON
insert into conflicts (other_scan_id, conflict)
values ($1, $2)
on conflict (other_scan_id) do nothing
