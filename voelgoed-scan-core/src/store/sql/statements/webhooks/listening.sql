-- Reads the organizations whose webhooks want scans.
select distinct organization_id
from webhooks
where status = 'active' and types like '%"scan.%'
