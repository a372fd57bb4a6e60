-- Takes over one of the order of the manifests, unless this database has it.
-- $1 event_id, $2 used
insert into manifest_uses (event_id, used)
values ($1, $2)
on conflict do nothing
