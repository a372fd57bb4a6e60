-- Records that a person has seen that a scan was not accepted.
-- $1 scan
update scans
set seen = 1
where scan_id = $1
    and status in ('rejected', 'quarantined')
