-- Selects the last scan of the log of a database that was set aside. The sequence is 0 if the log is empty.
select coalesce(max(sequence), 0) as sequence, link
from scans
