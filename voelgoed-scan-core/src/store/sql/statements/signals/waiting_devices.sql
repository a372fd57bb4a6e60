-- Reads the devices of every organization that reported scans which they have not uploaded. A revoked device counts as none.
select d.organization_id, d.id, d.waiting, d.settings, s.event_id, s.gate_id
from devices d
left join sessions s on s.organization_id = d.organization_id and s.device_id = d.id and s.status = 'active'
where d.waiting > 0 and d.status = 'active'
