-- Selects the events whose manifests are held, the most recently used first.
select event_id
from manifest_uses
order by used desc
