-- Reads the device of organization $1 that holds the token with hash $2, and the change counter of
-- the organization.
select
    o.change_counter, d.organization_id as d_organization_id, d.id as d_id, d.label as d_label,
    d.name as d_name, d.device_type as d_device_type, d.status as d_status,
    d.settings as d_settings, d.last_seen_at as d_last_seen_at, d.app as d_app,
    d.battery as d_battery, d.waiting as d_waiting, d.scope as d_scope,
    d.inserted_at as d_inserted_at, d.updated_at as d_updated_at, d.revoked as d_revoked
from credentials c
join devices d on d.organization_id = $1 and d.id = c.subject_id
join organizations o on o.id = $1
where c.organization_id = $1
    and c.token_hash = $2
    and c.kind = 'device'
