-- Writes what an import changes on tickets.
-- The ledger and the scan count are written by scans only and are left as they are.
-- $1: a JSON array of rows, as in insert_tickets.sqlite.sql.
update tickets
set
    status = r.value ->> 'status', ticket_class = r.value ->> 'ticket_class',
    gate_ids = r.value ->> 'gate_ids', seat = r.value ->> 'seat',
    valid_from = r.value ->> 'valid_from', valid_until = r.value ->> 'valid_until',
    entry_limit = r.value ->> 'entry_limit', version = r.value ->> 'version',
    note = r.value ->> 'note', holder_name = r.value ->> 'holder_name',
    holder_folded = r.value ->> 'holder_folded', order_ref = r.value ->> 'order_ref',
    order_folded = r.value ->> 'order_folded', updated_at = r.value ->> 'updated_at'
from json_each($1) r
where tickets.organization_id = unhex(r.value ->> 'o') and tickets.id = unhex(r.value ->> 'i')
