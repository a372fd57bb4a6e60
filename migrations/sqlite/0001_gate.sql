-- The gate's tables. Times are milliseconds since the Unix epoch, UTC; identifiers are 16-byte UUIDs; lists and
-- ledgers are JSON. Every tenant table leads its keys and indexes with organization_id.

create table organizations (
    id blob not null primary key,
    name text not null,
    -- Raised by every change that nodes keep in memory: events, gates, devices, sessions, keys.
    generation integer not null default 0,
    -- Raised by every change of a ticket that was there, other than by scans.
    tickets_generation integer not null default 0,
    inserted_at integer not null
) strict;

-- Which bearer token belongs to whom. The one table that is asked before the organization is known.
create table credentials (
    token_hash blob not null primary key,
    organization_id blob not null,
    kind text not null check (kind in ('device', 'api_key')),
    subject_id blob not null
) strict;

create index credentials_subject on credentials (organization_id, subject_id);

create table api_keys (
    organization_id blob not null,
    id blob not null,
    name text not null,
    role text not null,
    inserted_at integer not null,
    primary key (organization_id, id)
) strict;

-- Nothing secret: keys derive from the master secret.
create table signing_keys (
    organization_id blob not null,
    format text not null,
    kid text not null,
    status text not null,
    public_key blob,
    inserted_at integer not null,
    primary key (organization_id, format, kid)
) strict;

create table events (
    organization_id blob not null,
    id blob not null,
    name text not null,
    status text not null,
    starts_at integer,
    ends_at integer,
    capacity integer,
    reentry text not null,
    allow_unsigned integer not null,
    ticket_classes text not null,
    stale_manifest text not null,
    manifest_max_age_s integer not null,
    inserted_at integer not null,
    updated_at integer not null,
    primary key (organization_id, id)
) strict;

create table gates (
    organization_id blob not null,
    id blob not null,
    event_id blob not null,
    name text not null,
    code text,
    status text not null,
    capacity integer,
    ticket_classes text,
    inserted_at integer not null,
    updated_at integer not null,
    primary key (organization_id, id)
) strict;

create index gates_event on gates (organization_id, event_id, id);

-- One row a gate, made with it: people counted and scans recorded there.
create table occupancy (
    organization_id blob not null,
    event_id blob not null,
    gate_id blob not null,
    entries integer not null default 0,
    exits integer not null default 0,
    valid integer not null default 0,
    duplicate integer not null default 0,
    invalid_token integer not null default 0,
    wrong_event integer not null default 0,
    wrong_gate integer not null default 0,
    refused integer not null default 0,
    primary key (organization_id, event_id, gate_id)
) strict;

-- How many scans were decided in each five seconds: scans per minute, and the crowd's arrival over the evening.
create table arrivals (
    organization_id blob not null,
    event_id blob not null,
    -- Seconds since the Unix epoch, divided by five.
    slot integer not null,
    scans integer not null,
    primary key (organization_id, event_id, slot)
) strict;

create table devices (
    organization_id blob not null,
    id blob not null,
    label text not null,
    name text not null,
    device_type text not null,
    status text not null,
    revoked integer not null default 0,
    settings text not null,
    last_seen_at integer,
    app text,
    battery real,
    waiting integer,
    inserted_at integer not null,
    updated_at integer not null,
    primary key (organization_id, id)
) strict;

create unique index devices_label on devices (organization_id, label);

create table sessions (
    organization_id blob not null,
    id blob not null,
    device_id blob not null,
    event_id blob not null,
    gate_id blob not null,
    status text not null,
    started_at integer not null,
    ended_at integer,
    scan_count integer not null default 0,
    primary key (organization_id, id)
) strict;

-- A device stands at one gate at a time, whoever asks at once.
create unique index sessions_one_active on sessions (organization_id, device_id) where status = 'active';
create index sessions_time on sessions (organization_id, started_at, id);

create table tickets (
    organization_id blob not null,
    id blob not null,
    event_id blob not null,
    code text not null,
    status text not null,
    ticket_class text,
    gate_ids text,
    seat text,
    valid_from integer,
    valid_until integer,
    entry_limit integer not null,
    scan_count integer not null default 0,
    -- Admissions and exits, as the core's `Ledger` writes them.
    ledger text not null default '{"n":0,"a":[]}',
    -- Raised by every admission, exit, undo, status change and import.
    version integer not null default 1,
    note text,
    holder_name text,
    order_ref text,
    -- The two in small letters, for the search: databases do not agree on what a small letter is.
    holder_folded text,
    order_folded text,
    inserted_at integer not null,
    updated_at integer not null,
    primary key (organization_id, id)
) strict;

create unique index tickets_code on tickets (organization_id, code);
create index tickets_event on tickets (organization_id, event_id, code);

create table scans (
    organization_id blob not null,
    scan_id blob not null,
    ticket_id blob,
    ticket_code text,
    event_id blob not null,
    gate_id blob not null,
    device_id blob not null,
    session_id blob,
    result text not null,
    reason text not null,
    -- The reason that an overridden entry would have had.
    would_have_been text,
    direction text not null,
    scanned_at integer not null,
    device_scanned_at integer,
    received_at integer not null,
    source text not null,
    decided_by text not null,
    override_reason text,
    undone_at integer,
    undone_reason text,
    undone_by blob,
    local_result text,
    metadata text,
    -- Of the payload its SHA-256, format and key are kept, never the payload.
    payload_sha256 blob not null,
    payload_format text,
    payload_kid text,
    -- The parts of the answer that the other columns do not tell, so that a retry is answered the same.
    shown text not null,
    primary key (organization_id, scan_id)
) strict;

create index scans_time on scans (organization_id, scanned_at, scan_id);
create index scans_ticket on scans (organization_id, ticket_id) where ticket_id is not null;
