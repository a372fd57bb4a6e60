-- Says for two seconds that a node ($1) is cut off, and removes what others said more than a minute ago. The clock is that
-- of the database, because the clocks of the nodes may differ.
with expired as (
    delete from cut_off_nodes
    where node <> $1 and until < (extract(epoch from statement_timestamp()) * 1000)::bigint - 60000
)
insert into cut_off_nodes (node, until)
values ($1, (extract(epoch from clock_timestamp()) * 1000)::bigint + 2000)
on conflict (node) do update set until = excluded.until
