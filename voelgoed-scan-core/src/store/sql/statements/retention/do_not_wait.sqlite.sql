-- Has the connection wait for no lock.
pragma busy_timeout = 0
