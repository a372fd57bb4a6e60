-- Reads whether the database has the extension Citus.
select exists (select 1 from pg_extension where extname = 'citus')
