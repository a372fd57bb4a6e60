-- Records the statuses that staff gave to tickets of organization $2 at $3, where they differ from the last recorded one.
-- $1: a JSON array of {"i": ticket id, "s": status}.
-- `where` also separates the select from `on conflict`, as SQLite's grammar requires.
insert into ticket_status_changes (organization_id, ticket_id, changed_at, status)
select $2, unhex(r.value ->> 'i'), $3, r.value ->> 's'
from json_each($1) r
where r.value ->> 's' <> coalesce(
    (
        select c.status
        from ticket_status_changes c
        where c.organization_id = $2 and c.ticket_id = unhex(r.value ->> 'i')
        order by c.changed_at desc
        limit 1
    ),
    'active'
)
on conflict (organization_id, ticket_id, changed_at) do update set status = excluded.status
