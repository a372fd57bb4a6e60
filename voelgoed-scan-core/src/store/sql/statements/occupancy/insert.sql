-- Inserts the counters of gate $3 of event $2 of organization $1, all zero.
insert into occupancy (organization_id, event_id, gate_id)
values ($1, $2, $3)
