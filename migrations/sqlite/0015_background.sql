-- What one node does for all of them. Unused here, because one process has the file.
create table leases (
    task text primary key,
    holder blob not null,
    until integer not null
) strict, without rowid;

-- How far a consumer has read the feed of an event. A feed without a cursor has not been read.
create table feed_cursors (
    organization_id blob not null,
    consumer text not null,
    event_id blob not null,
    position integer not null,
    primary key (organization_id, consumer, event_id)
) strict, without rowid;
