-- The feed of an event: its scans in the order in which they were recorded, from which streams resume.

-- The position of the last scan of each event. A transaction that records scans raises it. So positions are committed
-- in their order: a reader that sees one sees all before it.
create table feed_positions (
    organization_id blob not null,
    event_id blob not null,
    last integer not null,
    primary key (organization_id, event_id)
) strict, without rowid;

-- Null for scans that were recorded before this migration.
alter table scans add column feed_position integer;

create index scans_feed on scans (organization_id, event_id, feed_position) where feed_position is not null;

-- Changes of recorded scans, such as undos: they have positions of their own in the same feed.
create table scan_changes (
    organization_id blob not null,
    event_id blob not null,
    feed_position integer not null,
    scan_id blob not null,
    primary key (organization_id, event_id, feed_position)
) strict, without rowid;

create index scan_changes_scan on scan_changes (organization_id, scan_id);
