-- Reads what the configuration of the server says about acknowledged commits.
-- `commit_default`: the value that this session had before it changed it. `fsync`: whether the server syncs at all.
select
    (select reset_val from pg_settings where name = 'synchronous_commit') as commit_default,
    current_setting('fsync') as fsync
