-- Counts the scans of event $2 of organization $1 in a part of the audit trail, those that are alike together.
-- $3, $4: time and id of the last scan of the part before. $5, $6: time and id of the last scan of the part.
-- An entry is a scan that let a person in: a valid one, or one that a device let in before it lost a conflict.
-- A quarter begins every 900,000 ms, also before 1970.
select
    x.gate_id, x.device_id, x.direction, x.reason,
    cast(
        case
            when x.direction = 'entry'
                and x.undone_at is null
                and (x.result = 'valid' or x.part in ('admitted', 'let_in')) then 1
            else 0
        end as bigint
    ) as is_entry,
    cast(case when x.undone_at is null then 0 else 1 end as bigint) as is_undone,
    cast(case when x.conflict is null then 0 else 1 end as bigint) as is_conflict,
    cast(case when x.source = 'sync' then 1 else 0 end as bigint) as is_uploaded,
    x.scanned_at - ((x.scanned_at % 900000) + 900000) % 900000 as quarter,
    count(*) as scans, min(x.scanned_at) as first_at, max(x.scanned_at) as last_at
from scans x
where x.organization_id = $1
    and x.event_id = $2
    and x.scanned_at between $3 and $5
    and (x.scanned_at, x.scan_id) > ($3, $4)
    and (x.scanned_at, x.scan_id) <= ($5, $6)
group by 1, 2, 3, 4, 5, 6, 7, 8, 9
