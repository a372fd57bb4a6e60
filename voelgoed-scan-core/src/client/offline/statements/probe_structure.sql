-- Checks the structure of every page of the database. Answers `ok` or the first defect.
pragma quick_check(1)
