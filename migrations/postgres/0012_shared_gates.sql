set local lock_timeout = '2s';

-- The same gate id may serve any number of events, as a venue's door does. Each has its own name, status, capacity, classes
-- and counts, so the key of a gate is organization, event, gate.
alter table gates drop constraint gates_pkey;
alter table gates add primary key (organization_id, event_id, id);

-- It has the columns of the new key.
drop index gates_event;

-- The events that have a gate: an upload whose scans name no event looks them up.
create index gates_id on gates (organization_id, id, event_id);
