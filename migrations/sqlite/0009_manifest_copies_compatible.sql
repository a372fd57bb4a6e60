-- Manifests that a node issued lately, as gzip: another node resumes their transfer with the same bytes. A SQLite file belongs to
-- one node, so that it stays empty.
create table manifest_copies (
    organization_id blob not null,
    event_id blob not null,
    -- The version and the start of the signature.
    tag text not null,
    bytes blob not null,
    -- When the copy is of no use any more, in epoch milliseconds.
    expires_at integer not null,
    primary key (organization_id, event_id, tag)
) strict;
