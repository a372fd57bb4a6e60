-- Moves the first $2 rows of webhook_deliveries up to row $1 behind the last one, so that the pages that they were on are overwritten.
update webhook_deliveries
set rowid = r.new
from (
    select
        rowid as old,
        (select max(rowid) from webhook_deliveries) + row_number() over (order by rowid) as new
    from webhook_deliveries
    where rowid <= $1
    order by rowid
    limit $2
) r
where webhook_deliveries.rowid = r.old
