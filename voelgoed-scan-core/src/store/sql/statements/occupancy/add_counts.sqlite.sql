-- Adds to the counters of gates.
-- $1: a JSON array of {"o": organization, "e": event, "g": gate} with what is added to each
-- counter.
update occupancy
set
    entries = entries + (r.value ->> 'entries'), exits = exits + (r.value ->> 'exits'),
    valid = valid + (r.value ->> 'valid'), duplicate = duplicate + (r.value ->> 'duplicate'),
    invalid_token = invalid_token + (r.value ->> 'invalid_token'),
    wrong_event = wrong_event + (r.value ->> 'wrong_event'),
    wrong_gate = wrong_gate + (r.value ->> 'wrong_gate'),
    refused = refused + (r.value ->> 'refused')
from json_each($1) r
where occupancy.organization_id = unhex(r.value ->> 'o')
    and occupancy.event_id = unhex(r.value ->> 'e')
    and occupancy.gate_id = unhex(r.value ->> 'g')
