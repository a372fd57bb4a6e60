-- The tables of online scanning. Times are milliseconds since the Unix epoch, UTC; identifiers are UUIDs; lists and
-- ledgers are JSON. Every key and index of a tenant table starts with organization_id.

create table organizations (
    id uuid not null primary key,
    name text not null,
    -- Raised by every change of what nodes cache: events, gates, devices, sessions, keys.
    change_counter bigint not null default 0,
    -- Raised by every change of an existing ticket that no scan makes.
    tickets_change_counter bigint not null default 0,
    inserted_at bigint not null
);

-- Bearer tokens by their hash. Looked up before the organization is known.
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

-- Holds nothing secret: signing keys are derived from the master secret.
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

-- One row a gate, inserted with it: how many people entered and left, and scans by result.
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
    -- Value of organizations.change_counter when the event or one of its gates last changed. It is the
    -- same for all gates of an event. A first admission, which is decided by cached facts, compares it
    -- with the cached value under the lock of this row.
    facts_changed_at_counter bigint not null default 0,
    primary key (organization_id, event_id, gate_id)
);

-- How many scans were decided in each slot of five seconds: scans per minute, and arrivals over time.
create table arrivals (
    organization_id uuid not null,
    event_id uuid not null,
    -- Seconds since the Unix epoch, divided by five and rounded down.
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

-- A revoked device keeps its textual id, which another device may get.
create unique index devices_label on devices (organization_id, label) where not revoked;

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

-- A device has at most one active session, whichever requests come at the same time.
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
    -- Raised by every admission, exit, undo, status change and import of the ticket.
    version bigint not null default 1,
    note text,
    holder_name text,
    order_ref text,
    -- Both in lower case, for the search. The program folds them, because databases fold differently.
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
    -- The reason that an override replaced.
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
    -- The payload itself is never stored, only its SHA-256, format and key id.
    payload_sha256 bytea not null,
    payload_format text,
    payload_kid text,
    -- The parts of the answer that no other column holds, so that a retry gets the same answer.
    shown text not null,
    primary key (organization_id, scan_id)
);

create index scans_time on scans (organization_id, scanned_at, scan_id);
create index scans_ticket on scans (organization_id, ticket_id) where ticket_id is not null;
