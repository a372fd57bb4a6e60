-- Reads whether organization $1 has a signing key of format $2 with key id $3.
select kid
from signing_keys
where organization_id = $1
    and format = $2
    and kid = $3
