-- Reads the copy of a manifest of event $2 of organization $1 with tag $3, unless it expired before $4.
select c.bytes, c.expires_at
from manifest_copies c
where c.organization_id = $1
    and c.event_id = $2
    and c.tag = $3
    and c.expires_at >= $4
