-- Reads the status of the signing key of organization $1, format $2, key id $3.
select status
from signing_keys
where organization_id = $1
    and format = $2
    and kid = $3
