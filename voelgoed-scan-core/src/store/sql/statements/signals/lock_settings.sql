-- Locks what organization $1 changed of the figures of signals, and returns it. Inserts no change where there is none.
insert into signal_settings (organization_id, changes)
values ($1, '{}')
on conflict (organization_id) do update set changes = signal_settings.changes
returning changes
