-- Removes the cursors of consumer $2 of organization $1.
delete from feed_cursors
where organization_id = $1 and consumer = $2
