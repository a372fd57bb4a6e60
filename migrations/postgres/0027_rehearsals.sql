set local lock_timeout = '2s';

-- Whether a rehearsal made the event. An admin may delete such an event.
alter table events add column rehearsal boolean not null default false;
