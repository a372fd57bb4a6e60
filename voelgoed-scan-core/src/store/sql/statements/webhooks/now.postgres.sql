-- Reads the clock of the database, in epoch milliseconds.
select (extract(epoch from clock_timestamp()) * 1000)::bigint as now
