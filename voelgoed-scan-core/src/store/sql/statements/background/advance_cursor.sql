-- Moves the cursor of consumer $2 in the feed of event $3 of organization $1 from position $4 to $5. Changes no row if the
-- cursor is elsewhere. No cursor is position 0.
insert into feed_cursors (organization_id, consumer, event_id, position)
select $1, $2, $3, $5
where $4 = 0
    or exists (
        select 1
        from feed_cursors
        where organization_id = $1 and consumer = $2 and event_id = $3
    )
on conflict (organization_id, consumer, event_id) do update set position = excluded.position
where feed_cursors.position = $4
