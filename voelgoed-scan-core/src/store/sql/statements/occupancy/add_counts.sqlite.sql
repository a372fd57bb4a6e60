-- Adds to the counters of gates.
-- $1: a JSON array of {"e": event, "g": gate} with what is added to each counter.
-- $2: the organization.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update occupancy
set
    entries = entries + (r.value ->> 'entries'), exits = exits + (r.value ->> 'exits'),
    valid = valid + (r.value ->> 'valid'), duplicate = duplicate + (r.value ->> 'duplicate'),
    invalid_token = invalid_token + (r.value ->> 'invalid_token'),
    wrong_event = wrong_event + (r.value ->> 'wrong_event'),
    wrong_gate = wrong_gate + (r.value ->> 'wrong_gate'),
    refused = refused + (r.value ->> 'refused')
from (select value from json_each($1) limit -1) r
where occupancy.organization_id = $2
    and occupancy.event_id = unhex(r.value ->> 'e')
    and occupancy.gate_id = unhex(r.value ->> 'g')
