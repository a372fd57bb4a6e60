-- Moves the first $2 rows of acceptances up to row $1 behind the last one, so that the pages that they were on are overwritten.
update acceptances
set rowid = r.new
from (
    select
        rowid as old,
        (select max(rowid) from acceptances) + row_number() over (order by rowid) as new
    from acceptances
    where rowid <= $1
    order by rowid
    limit $2
) r
where acceptances.rowid = r.old
