-- Reads a page of the tickets of event $2 of organization $1 in the order of their codes.
-- $3: the last code of the page before, or an empty text. $4: status, or null for any.
-- $5: the start of a code in lower case, or null for all tickets. $6, $7: patterns for the holder's name, with a space before
-- its first word, and for the order.
-- $8: the last code that may be read. $9: the limit. One row more than the page is read, which shows whether there is a next page.
select
    t.organization_id as t_organization_id, t.id as t_id, t.event_id as t_event_id,
    t.code as t_code, t.status as t_status, t.ticket_class as t_ticket_class,
    t.gate_ids as t_gate_ids, t.seat as t_seat, t.valid_from as t_valid_from,
    t.valid_until as t_valid_until, t.entry_limit as t_entry_limit, t.scan_count as t_scan_count,
    t.ledger as t_ledger, t.version as t_version, t.note as t_note, t.inserted_at as t_inserted_at,
    t.updated_at as t_updated_at, t.holder_name, t.order_ref, t.media
from tickets t
where t.organization_id = $1
    and t.event_id = $2
    and t.code > $3
    and t.code <= $8
    and ($4 is null or t.status = $4)
    and (
        $5 is null
        or lower(substr(t.code, 1, length($5))) = $5
        or (' ' || t.holder_folded) like $6 escape '!'
        or t.order_folded like $7 escape '!'
    )
    -- The tickets of a deleted event are there for a while.
    and exists (
        select 1
        from events e
        where e.organization_id = $1 and e.id = $2
    )
order by t.code
limit $9
