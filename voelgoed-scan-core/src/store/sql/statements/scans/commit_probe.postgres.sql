-- Commits a record to the write-ahead log, as every scan does. No table changes.
-- As text, because the driver does not know the type `pg_lsn`: it would ask for it between parsing and executing the statement,
-- and an unnamed statement is gone then.
select pg_logical_emit_message(true, 'voelgoed-scan', '')::text
