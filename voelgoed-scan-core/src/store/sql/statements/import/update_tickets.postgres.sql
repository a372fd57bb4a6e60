-- Writes what an import changes on tickets.
-- The ledger and the scan count are written by scans only and are left as they are.
-- $1: the organization. $2 to $19: one array a column, as in insert_tickets.postgres.sql.
-- `between` holds for every id. It makes PostgreSQL expect few rows to change, and find each ticket by its
-- key instead of reading all rows of the organization.
update tickets t
set
    status = r.status, ticket_class = r.ticket_class, gate_ids = r.gate_ids, seat = r.seat,
    valid_from = r.valid_from, valid_until = r.valid_until, entry_limit = r.entry_limit,
    version = r.version, note = r.note, holder_name = r.holder_name,
    holder_folded = r.holder_folded, order_ref = r.order_ref, order_folded = r.order_folded,
    media = r.media,
    updated_at = r.updated_at
from unnest(
    $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[],
    $15::text[], $16::text[], $17::text[], $18::text[], $19::text[]
) as r(
    updated_at, i, e, code, status, ticket_class, gate_ids, seat, valid_from, valid_until,
    entry_limit, version, note, holder_name, holder_folded, order_ref, order_folded, media
)
where t.organization_id = $1
    and t.id = r.i
    and r.i between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
