-- Reads the scopes and the settings that device $2 of organization $1 had before, in the order of their times.
select f.held_until, f.scope, f.settings
from former_device_scopes f
where f.organization_id = $1 and f.device_id = $2
order by f.held_until
