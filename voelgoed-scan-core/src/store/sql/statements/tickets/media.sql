-- Reads the media of the ticket with code $2 of event $3 of organization $1.
select t.media
from tickets t
where t.organization_id = $1
    and t.code = $2
    and t.event_id = $3
    -- The tickets of a deleted event are there for a while.
    and exists (
        select 1
        from events e
        where e.organization_id = $1 and e.id = $3
    )
