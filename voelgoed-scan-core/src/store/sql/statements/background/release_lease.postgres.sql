-- Gives up the lease of task $1 that node $2 has.
delete from leases
where task = $1 and holder = $2
