-- Selects whether the server has refused each admission or exit of a ticket that it does not have. Null if it has all. A
-- scan that is not in the log was set aside with it.
-- $1 event, $2 ticket key
select min(s.status is not null) as is_refused
from passages p
left join scans s on s.scan_id = p.scan_id
where p.event_id = $1
    and p.ticket_key = $2
    and p.known_at is null
