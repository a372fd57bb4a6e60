-- Deletes the kept manifests of event $2 of organization $1.
delete from manifest_copies
where organization_id = $1 and event_id = $2
