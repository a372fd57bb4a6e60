-- Writes what an import changes on tickets.
-- The ledger and the scan count are written by scans only and are left as they are.
-- $1: the organization. $2: a JSON array of rows, as in insert_tickets.sqlite.sql.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update tickets
set
    status = r.value ->> 'status', ticket_class = r.value ->> 'ticket_class',
    gate_ids = r.value ->> 'gate_ids', seat = r.value ->> 'seat',
    valid_from = r.value ->> 'valid_from', valid_until = r.value ->> 'valid_until',
    entry_limit = r.value ->> 'entry_limit', version = r.value ->> 'version',
    note = r.value ->> 'note', holder_name = r.value ->> 'holder_name',
    holder_folded = r.value ->> 'holder_folded', order_ref = r.value ->> 'order_ref',
    order_folded = r.value ->> 'order_folded',
    media = r.value ->> 'media', updated_at = r.value ->> 'updated_at'
from (select value from json_each($2) limit -1) r
where tickets.organization_id = $1 and tickets.id = unhex(r.value ->> 'i')
