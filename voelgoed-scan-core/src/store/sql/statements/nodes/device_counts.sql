-- Counts the active devices of all organizations by when they were last heard of, and the scans that wait on them.
-- $1: the time since which an online device was heard of. $2: the same of an idle one. $3: of one whose scans count.
select
    count(case when last_seen_at >= $1 then 1 end) as online,
    count(case when last_seen_at < $1 and last_seen_at >= $2 then 1 end) as idle,
    count(case when last_seen_at < $2 then 1 end) as silent,
    count(case when last_seen_at is null then 1 end) as never,
    cast(coalesce(sum(case when last_seen_at >= $3 then waiting end), 0) as bigint) as unsent_scans
from devices
where status = 'active'
