-- The events and gates that a device may work at, as JSON; null is any.
alter table devices add column scope text;

-- The scopes that no longer hold, each with the time until which it held. A scan that arrives later is judged by the scope
-- of its own time.
create table former_device_scopes (
    organization_id blob not null,
    device_id blob not null,
    held_until integer not null,
    -- As in devices.
    scope text,
    primary key (organization_id, device_id, held_until)
) strict;
