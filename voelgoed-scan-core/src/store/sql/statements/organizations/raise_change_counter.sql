-- Raises the change counter of organization $1, in the transaction of the change itself.
update organizations
set change_counter = change_counter + 1
where id = $1
