-- Stores that the deduplication window has the length $2 from $1 on. Another node may have stored the same.
insert into dedup_windows (held_from, length)
values ($1, $2)
on conflict (held_from) do nothing
