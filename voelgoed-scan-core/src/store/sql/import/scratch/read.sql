-- Reads entries.
-- $1: a JSON array of keys.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each entry by its key.
select e.key, e.value
from json_each($1) k
cross join entries e on e.key = k.value
