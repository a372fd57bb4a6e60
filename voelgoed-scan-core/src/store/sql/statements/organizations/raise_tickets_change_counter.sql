-- Raises the ticket change counter of organization $1, in the transaction of the change itself.
update organizations
set tickets_change_counter = tickets_change_counter + 1
where id = $1
