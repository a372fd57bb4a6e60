-- Records a database that was set aside, before anything is taken over from it. A second record changes nothing.
-- $1 path, $2 time, $3 code
insert into replaced_databases (path, replaced_at, code, rescued, complete)
values ($1, $2, $3, 0, 0)
on conflict (path) do nothing
