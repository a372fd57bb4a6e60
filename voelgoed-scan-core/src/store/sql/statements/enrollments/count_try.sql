-- Counts a try of the code with public part $1 and reads the code.
-- $2: how many tries a code has. $3: now.
-- Counting comes before the secret is compared, so that no two tries count as one.
-- The code is looked up before the organization is known.
update enrollments
set tries = tries + 1
where id = $1
    and tries < $2
    and expires_at >= $3
returning organization_id, device_id, secret_hash
