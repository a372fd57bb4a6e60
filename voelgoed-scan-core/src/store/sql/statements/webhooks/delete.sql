-- Removes webhook $2 of organization $1, whose deliveries are gone.
delete from webhooks
where organization_id = $1 and id = $2 and status = 'deleted'
