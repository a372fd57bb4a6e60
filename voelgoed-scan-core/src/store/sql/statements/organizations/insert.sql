-- Inserts organization $1 with name $2 and creation time $3. Changes no row where the id exists.
insert into organizations (id, name, inserted_at)
values ($1, $2, $3)
on conflict do nothing
