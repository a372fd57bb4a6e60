-- Reads the position of the last change of the signals of every organization.
select organization_id, last
from signal_positions
