-- Reads tickets with holder, order and media.
-- $1: a JSON array of {"c": code} and {"i": ticket id}. Ids are 32 hexadecimal digits.
-- $2: the organization.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
-- Two selects, so that each uses its own index.
select
    t.organization_id as t_organization_id, t.id as t_id, t.event_id as t_event_id,
    t.code as t_code, t.status as t_status, t.ticket_class as t_ticket_class,
    t.gate_ids as t_gate_ids, t.seat as t_seat, t.valid_from as t_valid_from,
    t.valid_until as t_valid_until, t.entry_limit as t_entry_limit, t.scan_count as t_scan_count,
    t.ledger as t_ledger, t.version as t_version, t.note as t_note, t.inserted_at as t_inserted_at,
    t.updated_at as t_updated_at, t.holder_name, t.order_ref, t.media
from jsonb_to_recordset($1::jsonb) as k(c text)
cross join lateral (
    select *
    from tickets
    where organization_id = $2 and code = k.c
    offset 0
) t
union all
select
    t.organization_id as t_organization_id, t.id as t_id, t.event_id as t_event_id,
    t.code as t_code, t.status as t_status, t.ticket_class as t_ticket_class,
    t.gate_ids as t_gate_ids, t.seat as t_seat, t.valid_from as t_valid_from,
    t.valid_until as t_valid_until, t.entry_limit as t_entry_limit, t.scan_count as t_scan_count,
    t.ledger as t_ledger, t.version as t_version, t.note as t_note, t.inserted_at as t_inserted_at,
    t.updated_at as t_updated_at, t.holder_name, t.order_ref, t.media
from jsonb_to_recordset($1::jsonb) as k(i uuid)
cross join lateral (
    select *
    from tickets
    where organization_id = $2 and id = k.i
    offset 0
) t
