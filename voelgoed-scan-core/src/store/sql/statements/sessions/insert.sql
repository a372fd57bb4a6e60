-- Inserts active session $2 of device $3 of organization $1.
-- $4: event. $5: gate. $6: start.
-- Changes no row where the device has an active session: a partial unique index decides.
insert into sessions (organization_id, id, device_id, event_id, gate_id, status, started_at)
values ($1, $2, $3, $4, $5, 'active', $6)
on conflict (organization_id, device_id)
where status = 'active' do nothing
