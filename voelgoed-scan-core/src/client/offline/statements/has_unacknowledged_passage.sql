-- Selects whether this phone recorded an admission or exit of a ticket that the server does not have yet.
-- $1 event, $2 ticket key
select exists (
    select 1
    from passages
    where event_id = $1
        and ticket_key = $2
        and known_at is null
) as unacknowledged
