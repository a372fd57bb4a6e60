-- Doors, the new start of a postponed event, the local time of an event, and whether it accepts media.
alter table events add column doors_open_at integer;
alter table events add column doors_close_at integer;
alter table events add column rescheduled_at integer;
alter table events add column time_zone text not null default 'UTC';
alter table events add column day_starts_at text not null default '00:00';
alter table events add column allow_media integer not null default 0;
