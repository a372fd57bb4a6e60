-- Writes page $1 of the file.
update sqlite_dbpage
set data = $2
where pgno = $1
