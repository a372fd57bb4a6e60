-- Whether the database has been migrated before.
select to_regclass('_sqlx_migrations') is not null as found
