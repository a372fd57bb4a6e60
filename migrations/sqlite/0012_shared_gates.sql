-- The same gate id may serve any number of events, as a venue's door does. Each has its own name, status, capacity, classes
-- and counts, so the key of a gate is organization, event, gate. SQLite changes a key only by copying the table.
create table gates_by_event (
    organization_id blob not null,
    id blob not null,
    event_id blob not null,
    name text not null,
    code text,
    status text not null,
    capacity integer,
    ticket_classes text,
    inserted_at integer not null,
    updated_at integer not null,
    primary key (organization_id, event_id, id)
) strict;

insert into gates_by_event (
    organization_id, id, event_id, name, code, status, capacity, ticket_classes, inserted_at, updated_at
)
select
    organization_id, id, event_id, name, code, status, capacity, ticket_classes, inserted_at, updated_at
from gates;

-- Drops its index, too: it has the columns of the new key.
drop table gates;
alter table gates_by_event rename to gates;

-- The events that have a gate: an upload whose scans name no event looks them up.
create index gates_id on gates (organization_id, id, event_id);
