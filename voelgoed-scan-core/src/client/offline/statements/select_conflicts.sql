-- Selects the conflicts that the server reported, ordered by scan id.
select conflict
from conflicts
order by other_scan_id
