-- Reads the deduplication windows of the deployment, in the order of the times from which they hold.
select held_from, length
from dedup_windows
order by held_from
