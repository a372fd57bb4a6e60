set local lock_timeout = '2s';

-- What one node does for all of them. A node that stops keeps its lease until it runs out. Times are those of the database,
-- in epoch milliseconds.
create table leases (
    task text primary key,
    holder uuid not null,
    until bigint not null
);

-- How far a consumer has read the feed of an event. A feed without a cursor has not been read.
create table feed_cursors (
    organization_id uuid not null,
    consumer text not null,
    event_id uuid not null,
    position bigint not null,
    primary key (organization_id, consumer, event_id)
) with (fillfactor = 50);
