-- Deletes the used code with public part $1.
delete from enrollments
where id = $1
