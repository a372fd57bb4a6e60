-- Names the holder ($1) of the lock of the migrations until the end of the transaction, for those who wait. Has the server end
-- the transaction within seconds if the client is gone, also while a statement runs, where the server can do that.
select set_config('application_name', $1, true), (
    select set_config(name, '2s', true) from pg_settings where name = 'client_connection_check_interval'
)
