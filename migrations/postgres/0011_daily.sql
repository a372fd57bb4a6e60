set local lock_timeout = '2s';

-- The days of events with the re-entry policy `daily`. People are counted in periods: one begins with each day of such an
-- event. -62135596800000 is the earliest time: no day has begun.

-- The begin of the period in which entries and exits of the gate are counted.
alter table occupancy add column counted_since bigint not null default -62135596800000;

-- The begin of the period that was under way at rules_since.
alter table events add column counted_since bigint not null default -62135596800000;

-- When days began under the rules of before.
alter table former_event_rules add column time_zone text not null default 'UTC';
alter table former_event_rules add column day_starts_at text not null default '00:00';
