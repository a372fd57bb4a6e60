-- Reads the ids of all organizations. Only the check of keys at the start of a node reads all
-- tenants.
select id
from organizations
order by id
