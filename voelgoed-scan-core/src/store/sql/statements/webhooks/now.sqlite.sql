-- Reads the clock of the database, in epoch milliseconds.
select cast(unixepoch('subsec') * 1000 as integer) as now
