-- Reads the migrations that the database has.
select version, description, success, checksum
from _sqlx_migrations
order by version
