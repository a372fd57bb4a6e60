-- Keeps the scope and the settings that device $2 of organization $1 had until $3. $4: the scope as JSON, or null. $5: the
-- settings as JSON. What began no earlier than $3 never held, and is not kept.
insert into former_device_scopes (organization_id, device_id, held_until, scope, settings)
select $1, $2, $3, $4, $5
where not exists (
    select 1
    from former_device_scopes f
    where f.organization_id = $1 and f.device_id = $2 and f.held_until >= $3
)
