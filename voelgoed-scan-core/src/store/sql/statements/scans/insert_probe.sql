-- Inserts a scan that is rolled back, to find out whether scans can be recorded.
-- $1: an organization that does not exist, used for all other ids too. $2: a time. $3: an empty hash.
insert into scans (
    organization_id, scan_id, event_id, gate_id, device_id, result, reason, direction, scanned_at,
    received_at, source, decided_by, payload_sha256, shown
)
values ($1, $1, $1, $1, $1, 'refused', 'gate_closed', 'entry', $2, $2, 'online', 'database', $3, '{}')
