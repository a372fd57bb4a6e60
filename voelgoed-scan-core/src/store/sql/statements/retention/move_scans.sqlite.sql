-- Moves the first $2 rows of scans up to row $1 behind the last one, so that the pages that they were on are overwritten.
update scans
set rowid = r.new
from (
    select
        rowid as old,
        (select max(rowid) from scans) + row_number() over (order by rowid) as new
    from scans
    where rowid <= $1
    order by rowid
    limit $2
) r
where scans.rowid = r.old
