-- Writes that the servers have listened to devices since $1 without a pause, and last did at $2.
insert into signal_watch (id, listening_since, seen_at)
values (1, $1, $2)
on conflict (id) do update set listening_since = excluded.listening_since, seen_at = excluded.seen_at
