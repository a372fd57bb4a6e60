-- Admits and records first admissions, and returns those that it admitted.
-- $1: a JSON array of scans. i: position in the array. k: position of the gate batch. d: device.
-- s: session. slot: five-second slot of the arrivals. ledger, metadata, warnings: JSON as text.
-- $2: a JSON array of gate batches. k: position. e: event. g: gate. low, high: first and last
-- gate whose counters are locked. entries, entries_at_event: how many people the whole batch would
-- let in at the gate and at the event. The change counters are those at which the facts were read.
-- since: start of the period in which people are counted. Counters of an earlier one start from zero.
-- Where one is already in a later period, the group is not admitted here.
-- $3: the organization.
--
-- A change of an event or a gate stores the change counter in facts_changed_at_counter under the lock
-- of the counters. Comparing it under the same lock shows a change that was committed after this statement
-- took its snapshot. PostgreSQL runs each writing part once, whether or not the last select reads it.
--
-- The first part reads $2: the entries of the batch, grouped by gate and by the facts they rely on.
with gate_batches as materialized (
    select *
    from json_to_recordset($2::json) as p(
        k bigint, change_counter bigint, facts_changed_at_counter bigint, e uuid, g uuid,
        low uuid, high uuid, entries bigint, entries_at_event bigint, gate_capacity bigint,
        event_capacity bigint, classes jsonb, gate_name text, since bigint
    )
),
-- Locks the counters of the gate, or of all gates of the event where the event has a capacity. The
-- organization's row is locked with `key share`: changes of sessions and devices, which raise its
-- counter, go on meanwhile.
locked_gates as materialized (
    select
        p.k, c.gate_id = p.g as is_own_gate,
        case when c.counted_since = p.since then c.entries - c.exits else 0 end as inside,
        c.facts_changed_at_counter = p.facts_changed_at_counter
            and c.counted_since <= p.since as unchanged
    from gate_batches p
    join organizations n on n.id = $3 and n.change_counter = p.change_counter
    join occupancy c on c.organization_id = $3
        and c.event_id = p.e
        and c.gate_id between p.low and p.high
    order by c.event_id, c.gate_id
    for update of c
    for key share of n
),
-- The groups whose facts are unchanged and for which there is room. A group is admitted as a whole
-- or not at all.
open_batches as materialized (
    select p.k, p.e, p.g, p.classes, p.gate_name, p.since
    from gate_batches p
    join (
        select
            k, bool_and(unchanged) as unchanged,
            cast(sum(inside) filter (where is_own_gate) as bigint) as at_gate,
            cast(sum(inside) as bigint) as at_event
        from locked_gates
        group by k
    ) l on l.k = p.k
    where l.unchanged
        and (p.gate_capacity is null or l.at_gate + p.entries <= p.gate_capacity)
        and (p.event_capacity is null or l.at_event + p.entries_at_event <= p.event_capacity)
),
-- Admits the tickets that pass all conditions.
admitted as (
    update tickets t
    set
        status = 'scanned', scan_count = 1, version = t.version + 1, updated_at = r.now,
        ledger = r.ledger
    from open_batches b
    join json_to_recordset($1::json) as r(
        i bigint, k bigint, scan uuid, code text, d uuid, s uuid, now bigint, slot bigint,
        device_at bigint, metadata text, sha256 text, format text, kid text, ledger text,
        warnings text
    ) on r.k = b.k
    where t.organization_id = $3
        and t.code = r.code
        and t.event_id = b.e
        and t.status = 'active'
        and t.ledger = '{"n":0,"a":[]}'
        and (t.valid_from is null or t.valid_from <= r.now)
        and (t.valid_until is null or t.valid_until >= r.now)
        and (t.gate_ids is null or t.gate_ids::jsonb ? b.g::text)
        and (b.classes is null or b.classes ? t.ticket_class)
    returning
        r.i, r.k, b.e, b.g, b.gate_name, b.since, r.scan, r.code, r.d, r.s, r.now, r.slot, r.device_at,
        r.metadata, r.sha256, r.format, r.kid, r.warnings, t.id as t_id,
        t.ticket_class as t_ticket_class, t.gate_ids as t_gate_ids, t.seat as t_seat,
        t.valid_from as t_valid_from, t.valid_until as t_valid_until,
        t.entry_limit as t_entry_limit, t.version as t_version, t.note as t_note,
        t.inserted_at as t_inserted_at
),
-- The entries for the feeds of the events.
entries as materialized (
    select e, count(*) as scans, string_agg(uuid_send(scan), ''::bytea order by i) as scan_ids
    from admitted
    group by e
),
-- Reserves positions in the feeds, in one order on every node.
positions as (
    insert into feed_positions (organization_id, event_id, last)
    select $3, e, scans
    from entries
    order by e
    on conflict (organization_id, event_id)
    do update set last = feed_positions.last + excluded.last
    returning event_id, last
),
feed as (
    insert into feed_batches (organization_id, event_id, last_position, is_change, scan_ids)
    select $3, e, p.last, false, scan_ids
    from entries
    join positions p on p.event_id = e
),
-- Records the scans, each with the snapshot from which a retry is answered. The join has the positions locked before a
-- scan waits for another with its id, as in every batch.
recorded as (
    insert into scans (
        organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id,
        result, reason, direction, scanned_at, device_scanned_at, received_at, source, decided_by,
        metadata, payload_sha256, payload_format, payload_kid, shown
    )
    select
        $3, scan, t_id, code, e, g, d, s, 'valid', 'admitted', 'entry', now, device_at, now,
        'online', 'database', metadata, decode(sha256, 'hex'), format, kid,
        '{"g":' || gate_name
            || ',"t":{"id":"' || t_id || '","code":"' || code
            || '","status":"scanned","ticket_class":' || coalesce(to_json(t_ticket_class)::text, 'null')
            || ',"seat":' || coalesce(t_seat, 'null') || ',"entry_limit":' || t_entry_limit
            || ',"scan_count":1,"note":' || coalesce(to_json(t_note)::text, 'null')
            || '},"w":' || warnings || '}'
    from admitted
    join positions p on p.event_id = e
),
-- Counts the entries. The counters of other gates are those before this statement.
counted_gates as (
    update occupancy c
    set
        entries = case when c.counted_since = a.since then c.entries else 0 end + a.entries_added,
        exits = case when c.counted_since = a.since then c.exits else 0 end,
        counted_since = a.since, valid = c.valid + a.entries_added
    from (
        select k, e, g, since, count(*) as entries_added
        from admitted
        group by k, e, g, since
    ) a
    where c.organization_id = $3
        and c.event_id = a.e
        and c.gate_id = a.g
    returning
        a.k, c.entries - c.exits as inside,
        cast(
            coalesce(
                (
                    select sum(x.entries - x.exits)
                    from occupancy x
                    where x.organization_id = $3
                        and x.event_id = c.event_id
                        and x.gate_id <> c.gate_id
                        and x.counted_since = c.counted_since
                ), 0
            ) as bigint
        ) as elsewhere
),
-- Counts the scans in the arrivals of the event, in one order on every node. The join has them locked
-- after the positions, as in every batch.
counted_arrivals as (
    insert into arrivals (organization_id, event_id, slot, scans)
    select $3, e, slot, count(*)
    from admitted
    join positions p on p.event_id = e
    group by e, slot
    order by e, slot
    on conflict (organization_id, event_id, slot)
    do update set scans = arrivals.scans + excluded.scans
),
-- Counts the scans in their sessions.
counted_sessions as (
    update sessions s
    set scan_count = s.scan_count + a.entries_added
    from (
        select s, count(*) as entries_added
        from admitted
        group by s
    ) a
    where s.organization_id = $3 and s.id = a.s
)
select
    a.i, c.inside, c.elsewhere, a.t_id, a.t_ticket_class, a.t_gate_ids, a.t_seat, a.t_valid_from,
    a.t_valid_until, a.t_entry_limit, a.t_version, a.t_note, a.t_inserted_at
from admitted a
join counted_gates c on c.k = a.k
