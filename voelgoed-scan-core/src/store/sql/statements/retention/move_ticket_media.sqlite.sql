-- Moves the first $2 rows of ticket_media up to row $1 behind the last one, so that the pages that they were on are overwritten.
update ticket_media
set rowid = r.new
from (
    select
        rowid as old,
        (select max(rowid) from ticket_media) + row_number() over (order by rowid) as new
    from ticket_media
    where rowid <= $1
    order by rowid
    limit $2
) r
where ticket_media.rowid = r.old
