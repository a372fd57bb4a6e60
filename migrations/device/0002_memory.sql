-- What a phone remembers besides its log: scans that are under way, what the server said of tickets, the manifests of
-- several events, the clock, a revocation, and databases that were set aside.

-- Scans that were sent to the server and have no outcome yet. A row is deleted with its outcome, because the scan contains
-- the payload, which is a bearer secret.
create table attempts (
    scan_id blob not null primary key,
    event_id blob not null,
    payload_sha256 blob not null,
    -- The scan as JSON, as an upload would contain it.
    scan text not null,
    -- The monotonic clock and the boot id at the scan; null where the platform has none.
    monotonic_ms integer,
    boot_id text
) strict;

-- What the server said of a ticket, for decisions without it.
create table server_facts (
    event_id blob not null,
    ticket_key blob not null,
    -- `status` or `admissions`.
    kind text not null,
    -- The server's time at which the fact held. Later scans of this phone come on top of it.
    at integer not null,
    -- Manifests that are made after this time contain it.
    known_at integer not null,
    fact text not null,
    primary key (event_id, ticket_key, kind)
) strict, without rowid;

-- Payloads that the server refused for what they are: a forged signature, an unknown key, an unknown ticket.
create table refused_payloads (
    event_id blob not null,
    payload_sha256 blob not null,
    reason text not null,
    known_at integer not null,
    primary key (event_id, payload_sha256)
) strict, without rowid;

-- The manifests of several events: of each the last full one (position 0) and its deltas, byte for byte.
create table manifest_parts (
    event_id blob not null,
    position integer not null,
    bytes blob not null,
    primary key (event_id, position)
) strict;

insert into manifest_parts (event_id, position, bytes)
select event_id, position, bytes
from manifests;

drop table manifests;

-- The order in which the manifests were used: the highest number is the latest.
create table manifest_uses (
    event_id blob not null primary key,
    used integer not null
) strict;

insert into manifest_uses (event_id, used)
select event_id, 1
from manifest_parts
group by event_id;

-- Databases that could not be used any more and were set aside, with what this one continues.
create table replaced_databases (
    path text not null primary key,
    replaced_at integer not null,
    -- Why: an error code.
    code text not null,
    -- The number of scans waiting for upload that were taken over from it.
    rescued integer not null,
    -- Whether all of it could be read.
    complete integer not null,
    -- Whether the app has shown it and the steward has confirmed it.
    confirmed integer not null default 0
) strict;

-- The event of a scan. Null in scans of earlier versions.
alter table scans add column event_id blob;
-- The monotonic clock and the boot id at the scan.
alter table scans add column monotonic_ms integer;
alter table scans add column boot_id text;
-- The time of the scan by the server's clock, if the phone was certain of it.
alter table scans add column verified_at integer;
-- Whether the steward has seen that the server rejected the scan.
alter table scans add column seen integer not null default 0;

create index scans_rejected on scans (sequence) where status in ('rejected', 'quarantined');

-- The last exchange with the server: its time, and this device's clocks at that moment.
alter table device add column anchor_server integer;
alter table device add column anchor_wall integer;
alter table device add column anchor_monotonic_ms integer;
alter table device add column anchor_boot_id text;
-- Why the server no longer accepts this device, since when, and the SHA-256 of the token that it refused; null while it
-- accepts the device.
alter table device add column refused_code text;
alter table device add column refused_at integer;
alter table device add column refused_token blob;
-- The last scan of the log that this database continues: that of a database that was set aside.
alter table device add column log_base_sequence integer not null default 0;
alter table device add column log_base_link blob;
