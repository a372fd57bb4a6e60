-- Copies the write-ahead log into the database and empties its file. Does not wait: `busy` is 1 where a reader still needs it.
pragma wal_checkpoint('truncate')
