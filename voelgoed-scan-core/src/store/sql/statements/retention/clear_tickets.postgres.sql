-- Clears the personal data of tickets. Their remaining media are given.
-- $1: the organization. $2: now. $3, $4: arrays of ids and of media as JSON.
-- `between` holds for every id. It makes PostgreSQL find each ticket by its key.
update tickets t
set
    holder_name = null, holder_folded = null, order_ref = null, order_folded = null, note = null,
    seat = null, media = r.media, version = t.version + 1, updated_at = $2
from unnest($3::uuid[], $4::text[]) as r(i, media)
where t.organization_id = $1
    and t.id = r.i
    and r.i between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
