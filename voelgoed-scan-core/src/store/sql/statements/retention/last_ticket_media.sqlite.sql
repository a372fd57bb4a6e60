-- Reads the last row of ticket_media.
select coalesce(max(rowid), 0) as last
from ticket_media
