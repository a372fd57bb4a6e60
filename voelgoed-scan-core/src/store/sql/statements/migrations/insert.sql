-- Records a migration in the transaction that applied it.
-- $1: its number. $2: its name. $3: the checksum of its text. $4: how long it took, in nanoseconds.
insert into _sqlx_migrations (version, description, success, checksum, execution_time)
values ($1, $2, true, $3, $4)
