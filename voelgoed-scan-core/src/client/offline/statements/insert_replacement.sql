-- Records a database that was set aside.
-- $1 path, $2 time, $3 code, $4 the number of waiting scans that were taken over, $5 whether all of it was read
insert into replaced_databases (path, replaced_at, code, rescued, complete)
values ($1, $2, $3, $4, $5)
