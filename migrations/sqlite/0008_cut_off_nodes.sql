-- The nodes that do not receive the messages of the others. A SQLite file belongs to one node, so that it stays empty.
create table cut_off_nodes (
    node blob primary key,
    until integer not null
) strict;
