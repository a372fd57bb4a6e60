-- Creates the entries of a dry run: tickets and codes as JSON, by a key that tells what they are.
create table entries (
    key text primary key,
    value text not null
) without rowid
