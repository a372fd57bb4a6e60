-- Reads the organization of the code with public part $1.
-- The code is looked up before the organization is known.
select organization_id
from enrollments
where id = $1
