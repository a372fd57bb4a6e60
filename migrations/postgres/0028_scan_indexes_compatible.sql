set local lock_timeout = '2s';

-- An index for each filter of the lists of scans. Where `scans` is large, create them `concurrently` beforehand
-- (docs/operations.md, Upgrades). The scan id is not part of them: few scans have the same time, and the database sorts those.

-- The scans of a device, and those of its sessions.
create index if not exists scans_device on scans (organization_id, device_id, scanned_at);

-- Most scans are valid, so the list of valid ones is read by their times.
create index if not exists scans_result on scans (organization_id, result, scanned_at) where result <> 'valid';

-- Replaces scans_ticket_time, which held the scan id as well.
create index if not exists scans_of_ticket on scans (organization_id, ticket_id, scanned_at) where ticket_id is not null;
drop index if exists scans_ticket_time;
