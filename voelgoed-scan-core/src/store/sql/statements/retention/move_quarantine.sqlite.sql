-- Moves the first $2 rows of quarantine up to row $1 behind the last one, so that the pages that they were on are overwritten.
update quarantine
set rowid = r.new
from (
    select
        rowid as old,
        (select max(rowid) from quarantine) + row_number() over (order by rowid) as new
    from quarantine
    where rowid <= $1
    order by rowid
    limit $2
) r
where quarantine.rowid = r.old
