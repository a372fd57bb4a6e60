-- Reads a page of the devices of organization $1 in the order of their ids.
-- $2: the last id of the page before, or the zero id. $3: textual id, or null for any.
-- $4: status, or null for any. $5: the last id that may be read. $6: the limit. One row more than
-- the page is read, which shows whether there is a next page.
select
    d.organization_id as d_organization_id, d.id as d_id, d.label as d_label, d.name as d_name,
    d.device_type as d_device_type, d.status as d_status, d.settings as d_settings,
    d.last_seen_at as d_last_seen_at, d.app as d_app, d.battery as d_battery,
    d.waiting as d_waiting, d.scope as d_scope, d.inserted_at as d_inserted_at, d.updated_at as d_updated_at
from devices d
where d.organization_id = $1
    and d.id > $2
    and d.id <= $5
    and ($3 is null or d.label = $3)
    and ($4 is null or d.status = $4)
order by d.id
limit $6
