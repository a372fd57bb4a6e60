-- Appends entries to the feeds of events of organization $2, and returns the last position of each event.
-- $1: a JSON array of {"e": event, "n": how many entries, "k": their scans, 32 hexadecimal digits each}.
-- $3: whether the entries are changes of recorded scans.
-- The order is the same on every node, so that two batches do not deadlock.
with entries as materialized (
    select *
    from jsonb_to_recordset($1::jsonb) as r(e uuid, n bigint, k text)
),
positions as (
    insert into feed_positions (organization_id, event_id, last)
    select $2, e, n
    from entries
    order by e
    on conflict (organization_id, event_id) do update set last = feed_positions.last + excluded.last
    returning event_id, last
),
appended as (
    insert into feed_batches (organization_id, event_id, last_position, is_change, scan_ids)
    select $2, e, p.last, $3, decode(k, 'hex')
    from entries
    join positions p on p.event_id = e
)
select event_id, last
from positions
