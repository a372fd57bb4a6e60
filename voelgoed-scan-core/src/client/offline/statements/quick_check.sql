-- Checks the structure of the database. Returns "ok", or the first fault.
pragma quick_check(1)
