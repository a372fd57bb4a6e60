-- Keeps a copy of a manifest of event $2 of organization $1.
-- $3: the tag. $4: the bytes. $5: when the copy expires.
insert into manifest_copies (organization_id, event_id, tag, bytes, expires_at)
values ($1, $2, $3, $4, $5)
on conflict (organization_id, event_id, tag) do nothing
