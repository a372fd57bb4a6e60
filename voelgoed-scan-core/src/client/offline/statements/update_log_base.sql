-- Sets the scan that the first scan of this log continues.
-- $1 sequence, $2 link hash
update device
set log_base_sequence = $1,
    log_base_link = $2
