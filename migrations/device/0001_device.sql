-- What a phone remembers. Times are milliseconds since the Unix epoch, UTC; identifiers are 16-byte UUIDs.

-- The last whole manifest (place 0) and the deltas after it, as they came: their signatures are checked at every opening.
create table manifests (
    place integer not null primary key,
    event_id blob not null,
    bytes blob not null
) strict;

-- Every scan that was decided here, in order: the log that is handed in.
create table scans (
    sequence integer not null primary key,
    scan_id blob not null unique,
    payload_sha256 blob not null,
    direction text not null,
    -- What is handed in, byte for byte; emptied once the server has it on record, for it holds the payload.
    sent text,
    -- The scan's link hash, which the next one names.
    link blob not null,
    -- What was shown.
    verdict text not null,
    -- What the server made of it; null while it waits.
    status text,
    errors text
) strict;

create index scans_waiting on scans (sequence) where status is null;

-- Who went in and out here, whoever decided it. Kept whether handed in or not.
create table movements (
    scan_id blob not null primary key,
    event_id blob not null,
    ticket_key blob not null,
    direction text not null,
    reason text not null,
    at integer not null,
    gate_id blob not null,
    gate_name text not null,
    -- A manifest made after this counts the scan; null while the server does not know it.
    known_at integer
) strict;

create index movements_ticket on movements (event_id, ticket_key, at);

-- What the server found at odds.
create table conflicts (
    other_scan_id blob not null primary key,
    conflict text not null
) strict;

-- Whose log this is, how far the device's clock is behind the server's, and where the device stands.
create table device (
    id integer not null primary key check (id = 1),
    organization_id blob not null,
    device_id blob not null,
    clock_offset integer not null default 0,
    can_override integer not null,
    station_event_id blob,
    station_gate_id blob,
    station_session_id blob
) strict;
