-- Reads whether scan $2 of organization $1 was accepted.
select accepted_at
from acceptances
where organization_id = $1 and scan_id = $2
