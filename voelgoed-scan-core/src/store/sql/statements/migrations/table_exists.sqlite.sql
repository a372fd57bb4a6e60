-- Whether the database has been migrated before.
select count(*) > 0 as found
from sqlite_master
where type = 'table' and name = '_sqlx_migrations'
