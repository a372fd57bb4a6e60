-- Records the result of another attempt to take over a database.
-- $1 path, $2 the number of waiting scans that were taken over now, $3 whether all of it was read
update replaced_databases
set rescued = rescued + $2,
    complete = $3
where path = $1
