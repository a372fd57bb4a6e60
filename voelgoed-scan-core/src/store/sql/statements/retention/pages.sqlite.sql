-- Reads the pages $1 to $2 of the file. The table function finds a page by its number only, so the numbers are counted first.
with recursive numbers (page) as (
    select $1
    union all
    select page + 1 from numbers where page < $2
)
select numbers.page, p.data
from numbers
join sqlite_dbpage p on p.pgno = numbers.page
