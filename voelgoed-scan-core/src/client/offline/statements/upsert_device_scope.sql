-- Stores the events and gates that the device may work at.
-- $1 the scope as JSON
insert into device_scope (id, scope)
values (1, $1)
on conflict (id) do update set scope = excluded.scope
