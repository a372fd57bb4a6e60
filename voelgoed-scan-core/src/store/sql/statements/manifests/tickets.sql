-- Reads a page of the tickets of event $2 of organization $1, as far as a manifest contains them.
-- $3: the last code of the page before, or an empty text. $4: the limit.
select
    t.code, t.version, t.status, t.ticket_class, t.gate_ids, t.valid_from, t.valid_until,
    t.entry_limit, t.ledger, t.media
from tickets t
where t.organization_id = $1
    and t.event_id = $2
    and t.code > $3
order by t.code
limit $4
