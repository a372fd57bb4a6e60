-- Selects the verdicts of the server of a database that was set aside.
select scan_id, payload_sha256, verdict, at
from server_verdicts
order by rowid
