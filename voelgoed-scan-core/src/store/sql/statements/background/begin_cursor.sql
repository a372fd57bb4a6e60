-- Moves the cursor of consumer $2 in the feed of event $3 of organization $1 from the beginning to position $4. No cursor is
-- position 0. Changes no row if the cursor is elsewhere.
insert into feed_cursors (organization_id, consumer, event_id, position)
values ($1, $2, $3, $4)
on conflict (organization_id, consumer, event_id) do update set position = excluded.position
where feed_cursors.position = 0
