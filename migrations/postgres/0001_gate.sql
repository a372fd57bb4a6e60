-- The gate's tables. Times are milliseconds since the Unix epoch, UTC; identifiers are UUIDs; lists and
-- ledgers are JSON. Every tenant table leads its keys and indexes with organization_id.

create table organizations (
    id uuid not null primary key,
    name text not null,
    -- Raised by every change that nodes keep in memory: events, gates, devices, sessions, keys.
    generation bigint not null default 0,
    -- Raised by every change of a ticket that was there, other than by scans.
    tickets_generation bigint not null default 0,
    inserted_at bigint not null
);

-- Which bearer token belongs to whom. The one table that is asked before the organization is known.
create table credentials (
    token_hash bytea not null primary key,
    organization_id uuid not null,
    kind text not null check (kind in ('device', 'api_key')),
    subject_id uuid not null
);

create index credentials_subject on credentials (organization_id, subject_id);

create table api_keys (
    organization_id uuid not null,
    id uuid not null,
    name text not null,
    role text not null,
    inserted_at bigint not null,
    primary key (organization_id, id)
);

-- Nothing secret: keys derive from the master secret.
create table signing_keys (
    organization_id uuid not null,
    format text not null,
    kid text not null,
    status text not null,
    public_key bytea,
    inserted_at bigint not null,
    primary key (organization_id, format, kid)
);

create table events (
    organization_id uuid not null,
    id uuid not null,
    name text not null,
    status text not null,
    starts_at bigint,
    ends_at bigint,
    capacity bigint,
    reentry text not null,
    allow_unsigned boolean not null,
    ticket_classes text not null,
    stale_manifest text not null,
    manifest_max_age_s bigint not null,
    inserted_at bigint not null,
    updated_at bigint not null,
    primary key (organization_id, id)
);

create table gates (
    organization_id uuid not null,
    id uuid not null,
    event_id uuid not null,
    name text collate "C" not null,
    code text,
    status text not null,
    capacity bigint,
    ticket_classes text,
    inserted_at bigint not null,
    updated_at bigint not null,
    primary key (organization_id, id)
);

create index gates_event on gates (organization_id, event_id, id);

-- One row a gate, made with it: people counted and scans recorded there.
create table occupancy (
    organization_id uuid not null,
    event_id uuid not null,
    gate_id uuid not null,
    entries bigint not null default 0,
    exits bigint not null default 0,
    valid bigint not null default 0,
    duplicate bigint not null default 0,
    invalid_token bigint not null default 0,
    wrong_event bigint not null default 0,
    wrong_gate bigint not null default 0,
    refused bigint not null default 0,
    primary key (organization_id, event_id, gate_id)
);

-- How many scans were decided in each five seconds: scans per minute, and the crowd's arrival over the evening.
create table arrivals (
    organization_id uuid not null,
    event_id uuid not null,
    -- Seconds since the Unix epoch, divided by five.
    slot bigint not null,
    scans bigint not null,
    primary key (organization_id, event_id, slot)
);

create table devices (
    organization_id uuid not null,
    id uuid not null,
    label text not null,
    name text not null,
    device_type text not null,
    status text not null,
    revoked boolean not null default false,
    settings text not null,
    last_seen_at bigint,
    app text,
    battery double precision,
    waiting bigint,
    inserted_at bigint not null,
    updated_at bigint not null,
    primary key (organization_id, id)
);

create unique index devices_label on devices (organization_id, label);

create table sessions (
    organization_id uuid not null,
    id uuid not null,
    device_id uuid not null,
    event_id uuid not null,
    gate_id uuid not null,
    status text not null,
    started_at bigint not null,
    ended_at bigint,
    scan_count bigint not null default 0,
    primary key (organization_id, id)
);

-- A device stands at one gate at a time, whoever asks at once.
create unique index sessions_one_active on sessions (organization_id, device_id) where status = 'active';
create index sessions_time on sessions (organization_id, started_at, id);

create table tickets (
    organization_id uuid not null,
    id uuid not null,
    event_id uuid not null,
    code text collate "C" not null,
    status text not null,
    ticket_class text,
    gate_ids text,
    seat text,
    valid_from bigint,
    valid_until bigint,
    entry_limit bigint not null,
    scan_count bigint not null default 0,
    -- Admissions and exits, as the core's `Ledger` writes them.
    ledger text not null default '{"n":0,"a":[]}',
    -- Raised by every admission, exit, undo, status change and import.
    version bigint not null default 1,
    note text,
    holder_name text,
    order_ref text,
    -- The two in small letters, for the search: databases do not agree on what a small letter is.
    holder_folded text,
    order_folded text,
    inserted_at bigint not null,
    updated_at bigint not null,
    primary key (organization_id, id)
);

create unique index tickets_code on tickets (organization_id, code);
create index tickets_event on tickets (organization_id, event_id, code);

create table scans (
    organization_id uuid not null,
    scan_id uuid not null,
    ticket_id uuid,
    ticket_code text,
    event_id uuid not null,
    gate_id uuid not null,
    device_id uuid not null,
    session_id uuid,
    result text not null,
    reason text not null,
    -- The reason that an overridden entry would have had.
    would_have_been text,
    direction text not null,
    scanned_at bigint not null,
    device_scanned_at bigint,
    received_at bigint not null,
    source text not null,
    decided_by text not null,
    override_reason text,
    undone_at bigint,
    undone_reason text,
    undone_by uuid,
    local_result text,
    metadata text,
    -- Of the payload its SHA-256, format and key are kept, never the payload.
    payload_sha256 bytea not null,
    payload_format text,
    payload_kid text,
    -- The parts of the answer that the other columns do not tell, so that a retry is answered the same.
    shown text not null,
    primary key (organization_id, scan_id)
);

create index scans_time on scans (organization_id, scanned_at, scan_id);
create index scans_ticket on scans (organization_id, ticket_id) where ticket_id is not null;
