-- Selects when the last database was set aside of which a part is lost.
select max(replaced_at) as lost_at
from replaced_databases
where complete = 0
