-- The order in which a phone recorded its scans. The server's clock and the phone's estimate of it differ by some
-- milliseconds, so the times of the two do not give it.

-- The last scan of the log when the admission or exit was recorded.
alter table passages add column log_sequence integer not null default 0;

-- What was recorded before is put in order by the times.
update passages
set log_sequence = coalesce(
    (
        select max(scans.sequence)
        from scans
        where cast(round(unixepoch(scans.verdict ->> '$.scanned_at', 'subsec') * 1000) as integer) <= passages.at
    ),
    0
);
