-- Writes the messages that organization $1 replaced. $2: the texts as JSON.
insert into custom_messages (organization_id, texts)
values ($1, $2)
on conflict (organization_id) do update set texts = excluded.texts
