set local lock_timeout = '2s';

-- The webhooks of an organization. types and event_ids are JSON arrays; event_ids null is every event. Secrets are
-- encrypted by a key that derives from the master secret.
create table webhooks (
    organization_id uuid not null,
    id uuid not null,
    url text not null,
    types text not null,
    event_ids text,
    -- Whether bodies carry ticket codes.
    codes boolean not null,
    description text,
    status text not null,
    -- Why the server disabled it. Null where a person did.
    disabled_reason text,
    secret bytea not null,
    -- The secret before the last rotation, and until when it signs as well.
    former_secret bytea,
    former_secret_until bigint,
    -- Since when every attempt has failed. Null after a success.
    failing_since bigint,
    inserted_at bigint not null,
    updated_at bigint not null,
    primary key (organization_id, id)
);

-- What is sent to webhooks, until some days after it was.
create table webhook_deliveries (
    organization_id uuid not null,
    -- The `webhook-id`. That of a scan or a conflict derives from it, the webhook and the type, so that each is told once.
    id uuid not null,
    webhook_id uuid not null,
    type text not null,
    body text not null,
    event_id uuid,
    scan_id uuid,
    -- Set for admissions, exits and undos, which are sent in the order of `sequence` for each ticket.
    ticket_id uuid,
    -- Follows the position in the feed of the event. Zero for what is no scan.
    sequence bigint not null,
    status text not null,
    attempts bigint not null default 0,
    -- When the next attempt is due. Null unless pending.
    next_attempt_at bigint,
    -- By the clock of the database.
    leased_until bigint,
    lease_holder uuid,
    last_status bigint,
    last_error text,
    inserted_at bigint not null,
    delivered_at bigint,
    failed_at bigint,
    primary key (organization_id, id)
);

create index webhook_deliveries_list on webhook_deliveries (organization_id, webhook_id, inserted_at, id);
create index webhook_deliveries_due on webhook_deliveries (organization_id, webhook_id, next_attempt_at, sequence)
    where status = 'pending';
create index webhook_deliveries_order on webhook_deliveries (organization_id, webhook_id, ticket_id, sequence)
    where status = 'pending' and ticket_id is not null;
create index webhook_deliveries_delivered on webhook_deliveries (organization_id, delivered_at)
    where status = 'delivered';
create index webhook_deliveries_failed on webhook_deliveries (organization_id, failed_at)
    where status = 'failed';
