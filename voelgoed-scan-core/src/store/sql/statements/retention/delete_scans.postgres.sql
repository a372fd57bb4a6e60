-- Deletes scans of organization $2. $1: a JSON array of {"k": scan}.
-- `between` holds for every id. It makes PostgreSQL find each scan by its key.
delete from scans x
using jsonb_to_recordset($1::jsonb) as r(k uuid)
where x.organization_id = $2
    and x.scan_id = r.k
    and r.k between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
