-- Writes the whole file anew, without what was deleted.
vacuum
