-- The events and gates that the device may work at, as the server last said, as JSON. No row is any.
create table device_scope (
    id integer not null primary key check (id = 1),
    scope text not null
) strict;
