-- Moves the first $2 rows of tickets up to row $1 behind the last one, so that the pages that they were on are overwritten.
update tickets
set rowid = r.new
from (
    select
        rowid as old,
        (select max(rowid) from tickets) + row_number() over (order by rowid) as new
    from tickets
    where rowid <= $1
    order by rowid
    limit $2
) r
where tickets.rowid = r.old
