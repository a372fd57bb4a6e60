set local lock_timeout = '2s';

-- The feed of an event: its scans in the order in which they were recorded, from which streams resume.

-- The position of the last scan of each event. A transaction that records scans raises it and holds the lock of the row
-- until its commit. So positions are committed in their order: a reader that sees one sees all before it.
create table feed_positions (
    organization_id uuid not null,
    event_id uuid not null,
    last bigint not null,
    primary key (organization_id, event_id)
) with (fillfactor = 50);

-- The entries of the feeds, one row for the entries of an event that one transaction adds: scans that it recorded, or,
-- with is_change, recorded scans that it changed. Their positions end with last_position. scan_ids holds 16 bytes for
-- each. Scans that were recorded before this migration have no entry.
create table feed_batches (
    organization_id uuid not null,
    event_id uuid not null,
    last_position bigint not null,
    is_change boolean not null,
    scan_ids bytea not null,
    primary key (organization_id, event_id, last_position)
);

-- The positions of the changes of a scan: an entry of a scan is passed over where a later one replaces it.
create table scan_changes (
    organization_id uuid not null,
    scan_id uuid not null,
    feed_position bigint not null,
    primary key (organization_id, scan_id, feed_position)
);
