-- Counts the scans of event $2 of organization $1 from $3 until before $4, by gate and minute.
select
    s.gate_id, s.scanned_at / 60000 as minute,
    cast(coalesce(sum(case when s.result = 'valid' and s.direction = 'entry' and s.undone_at is null then 1 end), 0) as bigint)
        as entries,
    cast(coalesce(sum(case when s.result = 'valid' and s.direction = 'exit' then 1 end), 0) as bigint) as exits,
    cast(coalesce(sum(case when s.result <> 'valid' then 1 end), 0) as bigint) as denials
from scans s
where s.organization_id = $1 and s.event_id = $2 and s.scanned_at >= $3 and s.scanned_at < $4
group by s.gate_id, s.scanned_at / 60000
