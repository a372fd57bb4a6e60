-- Inserts tickets.
-- $1: the organization. $2: a JSON array of rows.
insert into tickets (
    organization_id, id, event_id, code, status, ticket_class, gate_ids, seat, valid_from,
    valid_until, entry_limit, version, note, holder_name, holder_folded, order_ref, order_folded,
    media, inserted_at, updated_at
)
select
    $1, unhex(value ->> 'i'), unhex(value ->> 'e'), value ->> 'code',
    value ->> 'status', value ->> 'ticket_class', value ->> 'gate_ids', value ->> 'seat',
    value ->> 'valid_from', value ->> 'valid_until', value ->> 'entry_limit', value ->> 'version',
    value ->> 'note', value ->> 'holder_name', value ->> 'holder_folded', value ->> 'order_ref',
    value ->> 'order_folded', value ->> 'media', value ->> 'updated_at', value ->> 'updated_at'
from json_each($2)
