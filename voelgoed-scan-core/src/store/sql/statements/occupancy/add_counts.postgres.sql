-- Adds to the counters of gates.
-- $1: a JSON array of {"e": event, "g": gate} with what is added to each counter.
-- `since` is the start of the period in which entries and exits are counted. Those of an earlier period
-- start from zero, and those of a later one stay.
-- $2: the organization.
update occupancy c
set
    entries = case
        when c.counted_since > r.since then c.entries
        when c.counted_since = r.since then c.entries + r.entries
        else r.entries
    end,
    exits = case
        when c.counted_since > r.since then c.exits
        when c.counted_since = r.since then c.exits + r.exits
        else r.exits
    end,
    counted_since = greatest(c.counted_since, r.since), valid = c.valid + r.valid,
    duplicate = c.duplicate + r.duplicate, invalid_token = c.invalid_token + r.invalid_token,
    wrong_event = c.wrong_event + r.wrong_event, wrong_gate = c.wrong_gate + r.wrong_gate,
    refused = c.refused + r.refused
from jsonb_to_recordset($1::jsonb) as r(
    e uuid, g uuid, since bigint, entries bigint, exits bigint, valid bigint, duplicate bigint,
    invalid_token bigint, wrong_event bigint, wrong_gate bigint, refused bigint
)
where c.organization_id = $2
    and c.event_id = r.e
    and c.gate_id = r.g
