set local lock_timeout = '2s';

-- The nodes that do not receive the messages of the others. While there is one, no node answers a scan from a cache before
-- the scan is on record. Times are those of the database, in epoch milliseconds.
create table cut_off_nodes (
    node uuid primary key,
    until bigint not null
);
