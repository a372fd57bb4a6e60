-- Deletes the verdicts of the server from before a time.
-- $1 time
delete from server_verdicts
where at < $1
