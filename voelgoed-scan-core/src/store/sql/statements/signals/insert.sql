-- Inserts a signal of organization $1, unless one of its kind is open for its subject.
-- $2: id. $3: kind. $4: subject. $5: event. $6: gate. $7: device. $8: ticket. $9: when it opened. $10: when it ended, or null.
-- $11: details as JSON. $12: its position.
insert into signals (
    organization_id, id, kind, subject, event_id, gate_id, device_id, ticket_id, opened_at, closed_at,
    details, opened_position
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict do nothing
