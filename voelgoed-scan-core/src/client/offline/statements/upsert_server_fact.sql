-- Stores what the server said of a ticket, unless something newer is stored. The fact of the later time counts, in whatever order
-- the answers arrive. The answer to an upload is told later than an answer to a scan and is yet about an earlier time. It counts
-- before that only if it denies what that one admits: a status holds at its time, and a ticket that was used up then still is.
-- $1 event, $2 ticket key, $3 kind, $4 time, $5 since when manifests contain it, $6 fact JSON
insert into server_facts (event_id, ticket_key, kind, at, known_at, fact)
values ($1, $2, $3, $4, $5, $6)
on conflict (event_id, ticket_key, kind) do update
set at = excluded.at,
    known_at = excluded.known_at,
    fact = excluded.fact
where
    case
        when server_facts.known_at <= excluded.known_at
            then server_facts.at <= excluded.at
                or server_facts.kind = 'admissions' and not (server_facts.fact ->> '$.is_exhausted')
        -- It was told before the stored one and arrives after it.
        else server_facts.at < excluded.at
            and (server_facts.kind = 'status' or (excluded.fact ->> '$.is_exhausted'))
    end
