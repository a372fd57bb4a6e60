-- Makes this session wait until its commits are on disk, where the settings of the database, the role or the URL would not.
-- Every other value waits for the disk of this server, at least.
select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') = 'off'
