-- What the lists of scans read by, besides the time and the ticket: the event and the device. Without them a page of an old
-- event reads the scans of all newer ones. docs/scaling.md has what they cost and what they gain.
create index if not exists scans_event_time on scans (organization_id, event_id, scanned_at, scan_id);
create index if not exists scans_device_time on scans (organization_id, device_id, scanned_at, scan_id);
