set local lock_timeout = '2s';

-- Manifests that a node issued lately, as gzip: another node resumes their transfer with the same bytes.
create table manifest_copies (
    organization_id uuid not null,
    event_id uuid not null,
    -- The version and the start of the signature.
    tag text not null,
    bytes bytea not null,
    -- When the copy is of no use any more, in epoch milliseconds.
    expires_at bigint not null,
    primary key (organization_id, event_id, tag)
);

-- The bytes are gzip: compressing them again costs time and saves nothing.
alter table manifest_copies alter column bytes set storage external;
