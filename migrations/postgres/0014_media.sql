set local lock_timeout = '2s';

-- The media of a ticket: barcodes of other systems, wristbands. A JSON array of texts, null for none.
alter table tickets add column media text;

-- The ticket of each medium of an event. A medium is looked up by the SHA-256 of its text in the session's event, then in the
-- organization's others.
create table ticket_media (
    organization_id uuid not null,
    medium_sha256 bytea not null,
    event_id uuid not null,
    ticket_code text collate "C" not null,
    primary key (organization_id, medium_sha256, event_id)
);
