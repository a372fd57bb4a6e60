-- Locks organization $1 by writing its row.
update organizations
set name = name
where id = $1
