-- Deletes all parts of the manifest of an event before a full manifest replaces them.
-- $1 event
delete from manifest_parts
where event_id = $1
