-- The database of one phone. Times are milliseconds since the Unix epoch, UTC; ids are 16-byte UUIDs.

-- The last full manifest (position 0) and its deltas, byte for byte: every start checks their signatures.
create table manifests (
    position integer not null primary key,
    event_id blob not null,
    bytes blob not null
) strict;

-- The log: every scan that the phone decided, in order. It is uploaded to the server.
create table scans (
    sequence integer not null primary key,
    scan_id blob not null unique,
    payload_sha256 blob not null,
    direction text not null,
    -- The scan as uploaded, byte for byte. Null once the server has recorded the scan, because it contains the payload.
    sent text,
    -- The scan's link hash, which the next scan contains.
    link blob not null,
    -- The verdict as shown, JSON.
    verdict text not null,
    -- The server's result for the scan; null while the scan waits for upload.
    status text,
    errors text
) strict;

create index scans_waiting on scans (sequence) where status is null;

-- Admissions and exits on this phone, decided by the server or the phone. They stay after the upload.
create table passages (
    scan_id blob not null primary key,
    event_id blob not null,
    ticket_key blob not null,
    direction text not null,
    reason text not null,
    at integer not null,
    gate_id blob not null,
    gate_name text not null,
    -- Manifests that are made after this time count the scan; null until the server has it.
    known_at integer
) strict;

create index passages_ticket on passages (event_id, ticket_key, at);

-- Conflicts that the server reported.
create table conflicts (
    other_scan_id blob not null primary key,
    conflict text not null
) strict;

-- The owner of this database, the clock offset, the override permission, and the session at a gate.
create table device (
    id integer not null primary key check (id = 1),
    organization_id blob not null,
    device_id blob not null,
    -- The server's clock minus the device's clock, in milliseconds.
    clock_offset integer not null default 0,
    can_override integer not null,
    session_event_id blob,
    session_gate_id blob,
    session_id blob
) strict;
