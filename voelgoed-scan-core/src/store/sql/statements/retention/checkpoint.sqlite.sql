-- Copies what it can of the write-ahead log into the database, without waiting for anybody.
pragma wal_checkpoint('passive')
