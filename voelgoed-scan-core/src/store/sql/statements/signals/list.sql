-- Reads a page of the signals of organization $1, newest first by the time at which they opened.
-- $2, $3: time and id of the last signal of the page before. $4: event. $5: kind. $6: 1 for open ones, 0 for others. A null is
-- any. $7, $8: time and id of the last signal that may be read. $9: the limit. One row more than the page is read, which shows
-- whether there is a next page.
select
    s.id as s_id, s.kind, s.event_id, s.gate_id, s.device_id, s.ticket_id, s.opened_at, s.closed_at, s.details
from signals s
where s.organization_id = $1
    and s.opened_at between $7 and $2
    and (s.opened_at, s.id) < ($2, $3)
    and (s.opened_at, s.id) >= ($7, $8)
    and ($4 is null or s.event_id = $4)
    and ($5 is null or s.kind = $5)
    and ($6 is null or (case when s.closed_at is null then 1 else 0 end) = $6)
order by s.opened_at desc, s.id desc
limit $9
