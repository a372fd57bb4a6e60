set local lock_timeout = '2s';

-- The last entry of each organization's audit log. A change locks it as its last step.
create table audit_heads (
    organization_id uuid not null primary key,
    sequence bigint not null,
    -- Null before the first entry.
    hash bytea
) with (fillfactor = 50);

-- The audit log. Nothing is changed or deleted but addresses, which the hash does not cover.
create table audit_entries (
    organization_id uuid not null,
    sequence bigint not null,
    at bigint not null,
    actor_kind text not null,
    actor_id uuid,
    action text not null,
    subject_kind text not null,
    subject_id text not null,
    -- The scan that the entry was made of; null for the others.
    scan_id uuid,
    address text,
    -- The canonical JSON that the hash covers. The columns above repeat parts of it for filters.
    content text not null,
    hash bytea not null,
    signature bytea not null,
    primary key (organization_id, sequence)
);

-- An override, an undo or a check-in of a scan is entered once.
create unique index audit_entries_scan on audit_entries (organization_id, scan_id, action) where scan_id is not null;

create index audit_entries_address on audit_entries (organization_id, at) where address is not null;

-- Overrides and undos that are not entered in the audit log yet, with the calls that made them.
create table pending_audit_acts (
    organization_id uuid not null,
    scan_id uuid not null,
    action text not null,
    recorded_at bigint not null,
    actor_kind text not null,
    actor_id uuid,
    actor_name text,
    address text,
    request_id text,
    primary key (organization_id, scan_id, action)
);
