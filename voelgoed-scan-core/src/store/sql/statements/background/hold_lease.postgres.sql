-- Takes or renews the lease of task $1 for node $2, for $3 milliseconds. Changes no row while another node has it. The clock
-- is that of the database, because the clocks of the nodes may differ. It is read once: Citus accepts no such function in a condition.
insert into leases (task, holder, until)
values ($1, $2, (extract(epoch from clock_timestamp()) * 1000)::bigint + $3)
on conflict (task) do update set holder = excluded.holder, until = excluded.until
where leases.holder = excluded.holder
    or leases.until < excluded.until - $3
