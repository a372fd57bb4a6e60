-- Stores the server's result for a scan.
-- The payload is a bearer secret, so it is erased as soon as the server has recorded the scan.
-- $1 scan, $2 status, $3 errors JSON, $4 whether the server has recorded the scan
update scans
set status = $2,
    errors = $3,
    sent = case when $4 then null else sent end
where scan_id = $1
