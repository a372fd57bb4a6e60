-- Takes the lock of the migrations for this transaction, if no other transaction has it. It ends with the transaction.
-- Two numbers name the lock. `migrations/lock_holder.postgres.sql` looks for the same ones.
select pg_try_advisory_xact_lock(1987014759, 1835624306) as locked
