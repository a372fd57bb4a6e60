-- Deletes an admission that was undone.
-- $1 scan
delete from passages
where scan_id = $1
