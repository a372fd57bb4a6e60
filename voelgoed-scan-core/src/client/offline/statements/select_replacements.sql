-- Selects the databases that were set aside and that nobody has confirmed, oldest first.
select path, replaced_at, code, rescued, complete
from replaced_databases
where confirmed = 0
order by replaced_at, path
