set local lock_timeout = '2s';

-- Signals: what somebody should look at, found in the background from what is on record.

create table signals (
    organization_id uuid not null,
    id uuid not null,
    kind text not null,
    -- What the signal is about: a device, a ticket, an event or a gate, as text.
    subject text not null,
    event_id uuid,
    gate_id uuid,
    device_id uuid,
    ticket_id uuid,
    opened_at bigint not null,
    closed_at bigint,
    -- What the signal was found by, as JSON.
    details text not null,
    -- The places of its opening and its end among the changes of the organization's signals, by which streams read them. A
    -- signal that ended at once has no place of its end.
    opened_position bigint not null,
    closed_position bigint,
    primary key (organization_id, id)
);

-- One signal is open for a kind and a subject at a time, whichever nodes find it.
create unique index signals_one_open on signals (organization_id, kind, subject) where closed_at is null;
create index signals_time on signals (organization_id, opened_at, id);
create index signals_event on signals (organization_id, event_id);
create index signals_opened_position on signals (organization_id, opened_position);
create index signals_closed_position on signals (organization_id, closed_position) where closed_position is not null;

-- The position of the last change of an organization's signals. A transaction that changes some raises it and holds its lock,
-- so positions are committed in their order.
create table signal_positions (
    organization_id uuid not null primary key,
    last bigint not null
);

-- What an organization changed of the figures of signals, as JSON.
create table signal_settings (
    organization_id uuid not null primary key,
    changes text not null
);

-- The last scans of each device, from which signals are found, as JSON.
create table signal_windows (
    organization_id uuid not null,
    device_id uuid not null,
    scans text not null,
    primary key (organization_id, device_id)
);

-- One row: since when the servers have listened to devices without a pause, and when they last did.
create table signal_watch (
    id smallint not null primary key check (id = 1),
    listening_since bigint not null,
    seen_at bigint not null
);

-- The events and devices that are looked at every second.
create index events_live on events (organization_id, id) where status in ('live', 'postponed');
create index devices_waiting on devices (organization_id, id) where waiting > 0;

-- What was recorded before is no news.
insert into feed_cursors (organization_id, consumer, event_id, position)
select organization_id, 'signals', event_id, last from feed_positions;
