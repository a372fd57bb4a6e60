-- Checks that the database answers.
select 1
