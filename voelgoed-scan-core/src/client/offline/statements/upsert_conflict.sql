-- Stores a conflict. A newer report about the same scan replaces the older one.
-- $1 the losing scan, $2 conflict JSON
insert into conflicts (other_scan_id, conflict)
values ($1, $2)
on conflict (other_scan_id) do update
set conflict = excluded.conflict
