-- Takes over what was known of a database that was set aside before, unless this database knows it.
-- $1 path, $2 replaced_at, $3 code, $4 rescued, $5 complete, $6 confirmed
insert into replaced_databases (path, replaced_at, code, rescued, complete, confirmed)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
