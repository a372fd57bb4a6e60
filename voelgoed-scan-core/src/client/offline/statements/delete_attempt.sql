-- Deletes a scan under way, because it has an outcome.
-- $1 scan
delete from attempts
where scan_id = $1
