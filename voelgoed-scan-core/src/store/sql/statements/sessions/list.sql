-- Reads a page of the sessions of organization $1, newest first.
-- $2, $3: start and id of the last session of the page before.
-- $4: device. $5: event. $6: status. A null is any.
-- $7, $8: start and id of the last session that may be read. $9: the limit.
-- One row more than the page is read, which shows whether there is a next page.
select
    s.organization_id as s_organization_id, s.id as s_id, s.device_id as s_device_id,
    s.event_id as s_event_id, s.gate_id as s_gate_id, s.status as s_status,
    s.started_at as s_started_at, s.ended_at as s_ended_at, s.scan_count as s_scan_count
from sessions s
where s.organization_id = $1
    and s.started_at between $7 and $2
    and (s.started_at, s.id) < ($2, $3)
    and (s.started_at, s.id) >= ($7, $8)
    and ($4 is null or s.device_id = $4)
    and ($5 is null or s.event_id = $5)
    and ($6 is null or s.status = $6)
order by s.started_at desc, s.id desc
limit $9
