-- Counts the conflicts that the server reported.
select count(*) as n
from conflicts
