-- Limits how long the rest of this transaction waits for a lock: less than the 5 s of all others. The transaction holds rows
-- that undos, uploads and imports need, such as that of the organization, and these have to get them before their own time is over.
select set_config('lock_timeout', '2s', true)
