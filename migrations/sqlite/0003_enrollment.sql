-- Enrolment codes, each of which enrols its device once. A device has one code, the latest. Looked up before the
-- organization is known.
create table enrollments (
    -- The public part of the code.
    id text not null primary key,
    organization_id blob not null,
    device_id blob not null,
    -- SHA-256 of the secret part of the code.
    secret_hash blob not null,
    -- How often the code was tried. After five tries it is no longer valid.
    tries integer not null default 0,
    expires_at integer not null
) strict;

create unique index enrollments_device on enrollments (organization_id, device_id);

-- Set by an enrolment: the next log of the device may restart from 1, whatever the log before holds.
alter table devices add column may_begin_anew integer not null default 0;
