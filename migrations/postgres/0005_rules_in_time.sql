set local lock_timeout = '2s';

-- The rules of before. A scan is judged by the rules of its own time, whenever it arrives. Each row holds a value and the
-- time until which it held. The present values are in events, tickets and the server's settings.

-- One record for each change of an event's rules.
create table former_event_rules (
    organization_id uuid not null,
    event_id uuid not null,
    held_until bigint not null,
    reentry text not null,
    primary key (organization_id, event_id, held_until)
);

create table former_entry_limits (
    organization_id uuid not null,
    ticket_id uuid not null,
    held_until bigint not null,
    entry_limit bigint not null,
    primary key (organization_id, ticket_id, held_until)
);

-- The deduplication windows of the deployment, in milliseconds. They belong to no organization.
create table dedup_windows (
    held_from bigint not null primary key,
    length bigint not null
);

-- When the present rules of the event began. No scan that was decided by them has an earlier time.
alter table events add column rules_since bigint not null default 0;
