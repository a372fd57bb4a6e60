-- Stores that the server refuses this device, or that it accepts it again.
-- $1 code, $2 since when, $3 SHA-256 of the refused token
update device
set refused_code = $1,
    refused_at = $2,
    refused_token = $3
