-- Reads the position of the last change of the signals of organization $1.
select last
from signal_positions
where organization_id = $1
