-- Takes over one of what the server said of tickets, unless this database has it.
-- $1 event_id, $2 ticket_key, $3 kind, $4 at, $5 known_at, $6 fact
insert into server_facts (event_id, ticket_key, kind, at, known_at, fact)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
