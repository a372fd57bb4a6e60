-- Reads the number and the name of each migration that the database has.
select version, description
from _sqlx_migrations
order by version
