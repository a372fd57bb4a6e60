-- Writes the enrolment code of device $2 of organization $1 in place of the one before.
-- $3: the public part of the code. $4: SHA-256 of its secret part. $5: expiry.
-- Reads the device in the same statement, so that a missing or revoked one gets no code.
insert into enrollments (id, organization_id, device_id, secret_hash, tries, expires_at)
select $3, $1, d.id, $4, 0, $5
from devices d
where d.organization_id = $1
    and d.id = $2
    and not d.revoked
on conflict (organization_id, device_id)
do update set
    id = excluded.id, secret_hash = excluded.secret_hash, tries = 0,
    expires_at = excluded.expires_at
