-- Clears what people wrote into scans.
-- $1: the organization. $2: the reason of an undo that no person wrote. $3, $4: arrays of scans and of what their retries are
-- answered from.
-- `between` holds for every id. It makes PostgreSQL find each scan by its key.
update scans x
set
    metadata = null, override_reason = case when x.override_reason is not null then '' end,
    undone_reason = case when x.undone_reason = $2 then x.undone_reason end, shown = r.shown
from unnest($3::uuid[], $4::text[]) as r(k, shown)
where x.organization_id = $1
    and x.scan_id = r.k
    and r.k between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
