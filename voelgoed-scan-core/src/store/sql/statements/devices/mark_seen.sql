-- Sets the time at which device $2 of organization $1 was last seen to $3, unless it is earlier.
update devices
set last_seen_at = $3
where organization_id = $1
    and id = $2
    and (last_seen_at is null or last_seen_at < $3)
