-- Creates the device's row when the database is new. An existing row stays unchanged.
-- $1 organization, $2 device, $3 whether the device may override
insert into device (id, organization_id, device_id, can_override)
values (1, $1, $2, $3)
on conflict do nothing
