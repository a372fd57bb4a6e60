-- Whether another node than $1 is cut off.
select exists (
    select 1
    from cut_off_nodes
    where node <> $1 and until >= (extract(epoch from clock_timestamp()) * 1000)::bigint
) as cut_off
