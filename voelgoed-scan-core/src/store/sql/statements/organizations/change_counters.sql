-- Reads the change counters of all organizations. A node compares them with those it has seen.
select id, change_counter, tickets_change_counter
from organizations
