-- Clears addresses of organization $1 that are older than $2 milliseconds by the clock of the database, at most $3.
update audit_entries
set address = null
where organization_id = $1
    and sequence in (
        select old.sequence
        from audit_entries old
        where old.organization_id = $1
            and old.address is not null
            and old.at < (extract(epoch from statement_timestamp()) * 1000)::bigint - $2
        order by old.at
        limit $3
    )
