-- Deletes the used code with public part $2 of organization $1.
delete from enrollments
where organization_id = $1 and id = $2
