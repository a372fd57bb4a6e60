-- Commits a page, as every scan does. The number has no meaning.
pragma user_version = 1
