-- Reads whether one of some tickets exists.
-- $1: the organization. $2: codes. $3: ticket ids, as arrays of equal length.
-- Most chunks hold new tickets only, and this costs less than to lock and to read them.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
(
    select 1
    from unnest($2::text[]) as k(c)
    cross join lateral (
        select id
        from tickets
        where organization_id = $1 and code = k.c
        offset 0
    ) t
    limit 1
)
union all (
    select 1
    from unnest($3::uuid[]) as k(i)
    cross join lateral (
        select id
        from tickets
        where organization_id = $1 and id = k.i
        offset 0
    ) t
    limit 1
)
