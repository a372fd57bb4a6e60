-- Inserts a gate. Changes no row where the event has it already.
-- $1: organization. $2: gate. $3: event. $4: name. $5: code. $6: status. $7: capacity.
-- $8: ticket classes as JSON, or null for all. $9: now, for both times.
-- The parameters are those of update.sql.
insert into gates (
    organization_id, id, event_id, name, code, status, capacity, ticket_classes, inserted_at,
    updated_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
on conflict (organization_id, event_id, id) do nothing
