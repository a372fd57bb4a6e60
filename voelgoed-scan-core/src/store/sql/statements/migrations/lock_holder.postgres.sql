-- Who holds the lock of the migrations: the name that `migrations/sign_lock.postgres.sql` gave to the session, and since when,
-- in milliseconds since 1970. No row if nobody holds it any more.
select s.application_name as holder, (extract(epoch from s.xact_start) * 1000)::bigint as since
from pg_locks l
join pg_stat_activity s on s.pid = l.pid
where l.locktype = 'advisory' and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
    and l.classid = 1987014759 and l.objid = 1835624306 and l.objsubid = 2
