-- Selects the scans that were sent to the server and have no outcome yet, oldest first. Ids ascend with time.
select event_id, scan
from attempts
order by scan_id
