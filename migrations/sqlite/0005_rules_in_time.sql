-- The rules of before. A scan is judged by the rules of its own time, whenever it arrives. Each row holds a value and the
-- time until which it held. The present values are in events, tickets and the server's settings.

-- One record for each change of an event's rules.
create table former_event_rules (
    organization_id blob not null,
    event_id blob not null,
    held_until integer not null,
    reentry text not null,
    primary key (organization_id, event_id, held_until)
) strict;

create table former_entry_limits (
    organization_id blob not null,
    ticket_id blob not null,
    held_until integer not null,
    entry_limit integer not null,
    primary key (organization_id, ticket_id, held_until)
) strict;

-- The deduplication windows of the deployment, in milliseconds. They belong to no organization.
create table dedup_windows (
    held_from integer not null primary key,
    length integer not null
) strict;

-- When the present rules of the event began. No scan that was decided by them has an earlier time.
alter table events add column rules_since integer not null default 0;
