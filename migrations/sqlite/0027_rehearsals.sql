-- Whether a rehearsal made the event. An admin may delete such an event.
alter table events add column rehearsal integer not null default 0;
