-- Takes over one of the manifests, unless this database has it.
-- $1 event_id, $2 position, $3 bytes
insert into manifest_parts (event_id, position, bytes)
values ($1, $2, $3)
on conflict do nothing
