-- Writes which numbers of its log device $2 of organization $1 has uploaded.
-- $3: the ranges as JSON. $4: whether the log may still restart from 1.
update devices
set received = $3, may_begin_anew = (may_begin_anew and $4)
where organization_id = $1 and id = $2
