-- Marks the databases that were set aside as shown to a person.
update replaced_databases
set confirmed = 1
