-- Commits a record to the write-ahead log, as every scan does. No table changes.
select pg_logical_emit_message(true, 'voelgoed-scan', '')
