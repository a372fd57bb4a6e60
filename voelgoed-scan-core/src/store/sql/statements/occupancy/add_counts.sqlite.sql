-- Adds to the counters of gates.
-- $1: a JSON array of {"e": event, "g": gate} with what is added to each counter.
-- $2: the organization.
-- `since` is the start of the period in which entries and exits are counted. Those of an earlier period
-- start from zero, and those of a later one stay.
-- `limit -1` makes SQLite read the JSON array first and find each row by its key.
update occupancy
set
    entries = case
        when counted_since > (r.value ->> 'since') then entries
        when counted_since = (r.value ->> 'since') then entries + (r.value ->> 'entries')
        else r.value ->> 'entries'
    end,
    exits = case
        when counted_since > (r.value ->> 'since') then exits
        when counted_since = (r.value ->> 'since') then exits + (r.value ->> 'exits')
        else r.value ->> 'exits'
    end,
    counted_since = max(counted_since, r.value ->> 'since'),
    valid = valid + (r.value ->> 'valid'), duplicate = duplicate + (r.value ->> 'duplicate'),
    invalid_token = invalid_token + (r.value ->> 'invalid_token'),
    wrong_event = wrong_event + (r.value ->> 'wrong_event'),
    wrong_gate = wrong_gate + (r.value ->> 'wrong_gate'),
    refused = refused + (r.value ->> 'refused')
from (select value from json_each($1) limit -1) r
where occupancy.organization_id = $2
    and occupancy.event_id = unhex(r.value ->> 'e')
    and occupancy.gate_id = unhex(r.value ->> 'g')
