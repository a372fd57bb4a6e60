-- Reads the last row of webhook_deliveries.
select coalesce(max(rowid), 0) as last
from webhook_deliveries
