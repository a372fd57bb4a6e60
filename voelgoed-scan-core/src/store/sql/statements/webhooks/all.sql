-- Reads all webhooks with their status, also those that are deleted and still have deliveries.
select organization_id, id, status
from webhooks
