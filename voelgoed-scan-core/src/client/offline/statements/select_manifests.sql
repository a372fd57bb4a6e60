-- Selects the full manifest and then its deltas, in the order in which they apply.
select bytes
from manifests
order by position
