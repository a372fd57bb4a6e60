-- Writes what organization $1 changed of the figures of signals. $2: the changes as JSON.
update signal_settings
set changes = $2
where organization_id = $1
