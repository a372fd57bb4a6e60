-- Selects the latest time of a scan that was certain.
select max(verified_at) as verified_at
from (
    select verified_at
    from scans
    order by sequence desc
    limit 100
)
