-- Notes that event $2 of organization $1 was deleted at $3.
insert into deleted_events (organization_id, event_id, deleted_at)
values ($1, $2, $3)
