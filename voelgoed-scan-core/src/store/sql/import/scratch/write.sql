-- Writes entries, in place of those with the same keys.
-- $1: a JSON array of [key, value].
insert or replace into entries (key, value)
select value ->> 0, value ->> 1
from json_each($1)
