-- Deletes the admission that an undone scan made on this phone.
-- $1 scan
delete from passages
where scan_id = $1
