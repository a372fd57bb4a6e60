-- The webhooks of an organization. types and event_ids are JSON arrays; event_ids null is every event. Secrets are
-- encrypted by a key that derives from the master secret.
create table webhooks (
    organization_id blob not null,
    id blob not null,
    url text not null,
    types text not null,
    event_ids text,
    -- Whether bodies carry ticket codes.
    codes integer not null,
    description text,
    status text not null,
    -- Why the server disabled it. Null where a person did.
    disabled_reason text,
    secret blob not null,
    -- The secret before the last rotation, and until when it signs as well.
    former_secret blob,
    former_secret_until integer,
    -- Since when every attempt has failed. Null after a success.
    failing_since integer,
    inserted_at integer not null,
    updated_at integer not null,
    primary key (organization_id, id)
) strict;

-- What is sent to webhooks, until some days after it was.
create table webhook_deliveries (
    organization_id blob not null,
    -- The `webhook-id`. That of a scan or a conflict derives from it, the webhook and the type, so that each is told once.
    id blob not null,
    webhook_id blob not null,
    type text not null,
    body text not null,
    event_id blob,
    scan_id blob,
    -- Set for admissions, exits and undos, which are sent in the order of `sequence` for each ticket.
    ticket_id blob,
    -- Follows the position in the feed of the event. Zero for what is no scan.
    sequence integer not null,
    status text not null,
    attempts integer not null default 0,
    -- When the next attempt is due. Null unless pending.
    next_attempt_at integer,
    -- By the clock of the database.
    leased_until integer,
    lease_holder blob,
    last_status integer,
    last_error text,
    inserted_at integer not null,
    delivered_at integer,
    failed_at integer,
    primary key (organization_id, id)
) strict;

create index webhook_deliveries_list on webhook_deliveries (organization_id, webhook_id, inserted_at, id);
create index webhook_deliveries_due on webhook_deliveries (organization_id, webhook_id, next_attempt_at, sequence)
    where status = 'pending';
create index webhook_deliveries_order on webhook_deliveries (organization_id, webhook_id, ticket_id, sequence)
    where status = 'pending' and ticket_id is not null;
create index webhook_deliveries_delivered on webhook_deliveries (organization_id, delivered_at)
    where status = 'delivered';
create index webhook_deliveries_failed on webhook_deliveries (organization_id, failed_at)
    where status = 'failed';
