-- Inserts device $2 of organization $1.
-- $3: textual id. $4: name. $5: type. $6: settings as JSON. $7: now. $8: scope as JSON.
-- Changes no row where the id exists, or the textual id of a device that is not revoked.
insert into devices (
    organization_id, id, label, name, device_type, status, settings, inserted_at, updated_at,
    scope
)
values ($1, $2, $3, $4, $5, 'active', $6, $7, $7, $8)
on conflict do nothing
