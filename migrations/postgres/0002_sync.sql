-- Scans that devices decided offline, and the conflicts that result from them.

-- How the scan takes part in the history of its ticket. Null for online scans and for denials.
alter table scans add column part text;
-- The conflict that the scan lost, and the admission that it lost against.
alter table scans add column conflict text;
alter table scans add column winner_scan_id uuid;
-- The reason of the device's own decision.
alter table scans add column local_reason text;
-- The scan's entry in the log of its device: sequence number and hash chain.
alter table scans add column sequence bigint;
alter table scans add column prev_hash bytea;
alter table scans add column link_hash bytea;

create index scans_conflict on scans (organization_id, scanned_at, scan_id) where conflict is not null;
create index scans_log on scans (organization_id, device_id, sequence) where sequence is not null;

-- The Ed25519 public key that the device enrolled with, and the sequence numbers that it has uploaded (JSON).
alter table devices add column device_key bytea;
alter table devices add column received text not null default '[]';

-- Uploaded scans that cannot be verified: of revoked devices, and of logs whose hash chain is broken. They admit
-- nobody.
create table quarantine (
    organization_id uuid not null,
    device_id uuid not null,
    scan_id uuid not null,
    event_id uuid not null,
    gate_id uuid not null,
    ticket_code text,
    local_result text,
    direction text not null,
    scanned_at bigint not null,
    device_scanned_at bigint not null,
    received_at bigint not null,
    payload_sha256 bytea not null,
    primary key (organization_id, device_id, scan_id)
);

create index quarantine_time on quarantine (organization_id, scanned_at, scan_id);
