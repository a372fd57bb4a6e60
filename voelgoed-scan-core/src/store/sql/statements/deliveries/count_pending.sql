-- Counts the pending deliveries of all organizations.
select count(*) as pending
from webhook_deliveries
where status = 'pending'
