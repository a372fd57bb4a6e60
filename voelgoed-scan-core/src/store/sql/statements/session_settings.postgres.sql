-- Sets what holds for a session.
-- `synchronous_commit`: commits wait until they are on disk, where the settings of the database, the role or the URL would
-- not. Every other value waits for the disk of this server, at least.
-- The timeouts keep a node that hangs or lost its network from blocking others: $1 of a statement, $2 of waiting for a lock,
-- $3 of a transaction whose node is silent.
select
    set_config('synchronous_commit', case current_setting('synchronous_commit')
        when 'off' then 'on'
        else current_setting('synchronous_commit')
    end, false),
    set_config('statement_timeout', $1, false),
    set_config('lock_timeout', $2, false),
    set_config('idle_in_transaction_session_timeout', $3, false)
