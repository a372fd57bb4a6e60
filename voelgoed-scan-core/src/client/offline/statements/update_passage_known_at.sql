-- Records that the server has an admission or exit.
-- $1 scan, $2 since when the server's manifests count it
update passages
set known_at = $2
where scan_id = $1
    and known_at is null
