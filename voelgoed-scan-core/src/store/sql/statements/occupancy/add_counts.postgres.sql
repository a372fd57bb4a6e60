-- Adds to the counters of gates.
-- $1: a JSON array of {"e": event, "g": gate} with what is added to each counter.
-- $2: the organization.
update occupancy c
set
    entries = c.entries + r.entries, exits = c.exits + r.exits, valid = c.valid + r.valid,
    duplicate = c.duplicate + r.duplicate, invalid_token = c.invalid_token + r.invalid_token,
    wrong_event = c.wrong_event + r.wrong_event, wrong_gate = c.wrong_gate + r.wrong_gate,
    refused = c.refused + r.refused
from jsonb_to_recordset($1::jsonb) as r(
    e uuid, g uuid, entries bigint, exits bigint, valid bigint, duplicate bigint,
    invalid_token bigint, wrong_event bigint, wrong_gate bigint, refused bigint
)
where c.organization_id = $2
    and c.event_id = r.e
    and c.gate_id = r.g
