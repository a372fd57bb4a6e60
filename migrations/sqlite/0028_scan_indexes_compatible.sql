-- An index for each filter of the lists of scans. Unlike those of PostgreSQL they end with the scan id: SQLite prefers an index
-- that has the whole order of a list to one that finds fewer scans.

-- The scans of a device, and those of its sessions.
create index if not exists scans_device on scans (organization_id, device_id, scanned_at, scan_id);

-- Most scans are valid, so the list of valid ones is read by their times.
create index if not exists scans_result on scans (organization_id, result, scanned_at, scan_id) where result <> 'valid';

-- Replaces scans_ticket_time, as on PostgreSQL.
create index if not exists scans_of_ticket on scans (organization_id, ticket_id, scanned_at, scan_id)
where ticket_id is not null;
drop index if exists scans_ticket_time;
