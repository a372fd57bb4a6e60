-- Clears what people wrote into scans.
-- $1: the organization. $2: the reason of an undo that no person wrote. $3: a JSON array of {"k": scan, "shown": what its
-- retry is answered from}.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update scans
set
    metadata = null, override_reason = case when override_reason is not null then '' end,
    undone_reason = case when undone_reason = $2 then undone_reason end,
    shown = r.value ->> 'shown'
from (select value from json_each($3) limit -1) r
where scans.organization_id = $1 and scans.scan_id = unhex(r.value ->> 'k')
