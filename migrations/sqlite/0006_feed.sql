-- The feed of an event: its scans in the order in which they were recorded, from which streams resume.

-- The position of the last scan of each event. A transaction that records scans raises it. So positions are committed
-- in their order: a reader that sees one sees all before it.
create table feed_positions (
    organization_id blob not null,
    event_id blob not null,
    last integer not null,
    primary key (organization_id, event_id)
) strict, without rowid;

-- The entries of the feeds, one row for the entries of an event that one transaction adds: scans that it recorded, or,
-- with is_change, recorded scans that it changed. Their positions end with last_position. scan_ids holds 16 bytes for
-- each. Scans that were recorded before this migration have no entry.
create table feed_batches (
    organization_id blob not null,
    event_id blob not null,
    last_position integer not null,
    is_change integer not null,
    scan_ids blob not null,
    primary key (organization_id, event_id, last_position)
) strict, without rowid;

-- The positions of the changes of a scan: an entry of a scan is passed over where a later one replaces it.
create table scan_changes (
    organization_id blob not null,
    scan_id blob not null,
    feed_position integer not null,
    primary key (organization_id, scan_id, feed_position)
) strict, without rowid;
