-- The tables of online scanning. Times are milliseconds since the Unix epoch, UTC; identifiers are 16-byte UUIDs; lists and
-- ledgers are JSON. Every key and index of a tenant table starts with organization_id.

create table organizations (
    id blob not null primary key,
    name text not null,
    -- Raised by every change of what nodes cache: events, gates, devices, sessions, keys.
    change_counter integer not null default 0,
    -- Raised by every change of an existing ticket that no scan makes.
    tickets_change_counter integer not null default 0,
    inserted_at integer not null
) strict;

-- Bearer tokens by their hash. Looked up before the organization is known.
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

-- Holds nothing secret: signing keys are derived from the master secret.
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

-- One row a gate, inserted with it: how many people entered and left, and scans by result.
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
    -- Value of organizations.change_counter when the event or one of its gates last changed. It is the
    -- same for all gates of an event. A first admission, which is decided by cached facts, compares it
    -- with the cached value under the lock of this row.
    facts_changed_at_counter integer not null default 0,
    primary key (organization_id, event_id, gate_id)
) strict;

-- How many scans were decided in each slot of five seconds: scans per minute, and arrivals over time.
create table arrivals (
    organization_id blob not null,
    event_id blob not null,
    -- Seconds since the Unix epoch, divided by five and rounded down.
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

-- A revoked device keeps its textual id, which another device may get.
create unique index devices_label on devices (organization_id, label) where revoked = 0;

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

-- A device has at most one active session, whichever requests come at the same time.
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
    -- Raised by every admission, exit, undo, status change and import of the ticket.
    version integer not null default 1,
    note text,
    holder_name text,
    order_ref text,
    -- Both in lower case, for the search. The program folds them, because databases fold differently.
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
    -- The reason that an override replaced.
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
    -- The payload itself is never stored, only its SHA-256, format and key id.
    payload_sha256 blob not null,
    payload_format text,
    payload_kid text,
    -- The parts of the answer that no other column holds, so that a retry gets the same answer.
    shown text not null,
    primary key (organization_id, scan_id)
) strict;

create index scans_time on scans (organization_id, scanned_at, scan_id);
create index scans_ticket on scans (organization_id, ticket_id) where ticket_id is not null;
