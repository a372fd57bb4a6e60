-- What the lists of scans read by: the scans of a ticket, in the order of the audit trail. All other filters read a bounded
-- part of the audit trail, because each index costs every scan.

-- Replaces scans_ticket. The history of a ticket uses it too.
create index scans_ticket_time on scans (organization_id, ticket_id, scanned_at, scan_id) where ticket_id is not null;
drop index scans_ticket;

-- Scans of codes that are no tickets.
create index scans_unknown_ticket on scans (organization_id, ticket_code, scanned_at, scan_id)
where ticket_id is null and ticket_code is not null;
