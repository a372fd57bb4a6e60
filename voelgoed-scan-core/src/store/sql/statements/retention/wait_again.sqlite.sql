-- Has the connection wait for locks as every connection does.
pragma busy_timeout = 5000
