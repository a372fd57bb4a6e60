-- Reads whether action $3 of scan $2 of organization $1 is entered.
select sequence
from audit_entries
where organization_id = $1
    and scan_id = $2
    and action = $3
