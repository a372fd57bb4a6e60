-- Replaces a gate, except for its creation time, which is returned.
-- $1: organization. $2: gate. $3: event. $4: name. $5: code. $6: status. $7: capacity.
-- $8: ticket classes as JSON, or null for all. $9: now.
-- The parameters are those of insert.sql.
update gates
set name = $4, code = $5, status = $6, capacity = $7, ticket_classes = $8, updated_at = $9
where organization_id = $1
    and event_id = $3
    and id = $2
returning inserted_at
