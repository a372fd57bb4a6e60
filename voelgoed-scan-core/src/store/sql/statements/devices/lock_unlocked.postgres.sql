-- Locks those of some devices that no other transaction has locked, and reads their ids.
-- $1: a JSON array of {"k": device}. Ids are 32 hexadecimal digits. $2: the organization.
select d.id
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join devices d on d.organization_id = $2 and d.id = k.k
for no key update of d skip locked
