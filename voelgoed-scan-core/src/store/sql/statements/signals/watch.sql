-- Reads since when the servers have listened to devices without a pause, and when they last did.
select listening_since, seen_at
from signal_watch
where id = 1
