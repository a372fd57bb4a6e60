-- Clears the hashes of the log of device $2 of organization $1, which has started a new log.
update scans
set prev_hash = null, link_hash = null
where organization_id = $1
    and device_id = $2
    and sequence is not null
    and link_hash is not null
