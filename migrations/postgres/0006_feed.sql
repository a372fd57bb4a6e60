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

-- Null for scans that were recorded before this migration.
alter table scans add column feed_position bigint;

create index scans_feed on scans (organization_id, event_id, feed_position) where feed_position is not null;

-- Changes of recorded scans, such as undos: they have positions of their own in the same feed.
create table scan_changes (
    organization_id uuid not null,
    event_id uuid not null,
    feed_position bigint not null,
    scan_id uuid not null,
    primary key (organization_id, event_id, feed_position)
);

create index scan_changes_scan on scan_changes (organization_id, scan_id);
