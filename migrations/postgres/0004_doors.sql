set local lock_timeout = '2s';

-- Where the organization's change counter (generation) stood when the event or one of its gates was last changed; the same
-- for all gates of an event. Whoever counts somebody in by what a node's memory holds of them compares it under the lock.
alter table occupancy add column doors bigint not null default 0;
