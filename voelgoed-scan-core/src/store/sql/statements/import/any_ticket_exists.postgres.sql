-- Reads whether one of some tickets exists.
-- $1: organizations. $2: codes. $3: ticket ids, as arrays of equal length.
-- Most chunks hold new tickets only, and this costs less than to lock and to read them.
(
    select 1
    from unnest($1::uuid[], $2::text[]) as k(o, c)
    join tickets t on t.organization_id = k.o and t.code = k.c
    limit 1
)
union all (
    select 1
    from unnest($1::uuid[], $3::uuid[]) as k(o, i)
    join tickets t on t.organization_id = k.o and t.id = k.i
    limit 1
)
