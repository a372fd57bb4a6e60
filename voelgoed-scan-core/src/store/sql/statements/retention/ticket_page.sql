-- Reads the next tickets of event $2 of organization $1 after code $3, in the order of their codes, each with whether it
-- holds personal data. $4: the limit.
select
    code,
    (
        holder_name is not null
        or order_ref is not null
        or note is not null
        or seat is not null
        or holder_folded is not null
        or order_folded is not null
        or coalesce(media, '') like '%"nfc:%'
    ) as holds
from tickets
where organization_id = $1 and event_id = $2 and code > $3
order by code
limit $4
