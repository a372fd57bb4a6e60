set local lock_timeout = '2s';

-- Codes that enrol a device, once: one a device, the latest. The second table that is asked before the organization is known.
create table enrollments (
    -- The part of the code that finds it.
    id text collate "C" not null primary key,
    organization_id uuid not null,
    device_id uuid not null,
    -- SHA-256 of the part that proves the right to it.
    secret_hash bytea not null,
    -- How often it was tried; after the fifth time it is burnt.
    tries bigint not null default 0,
    expires_at bigint not null
);

create unique index enrollments_device on enrollments (organization_id, device_id);

-- The device was enrolled anew: its next log may begin from 1, whatever is on record of the last one.
alter table devices add column may_begin_anew boolean not null default false;
