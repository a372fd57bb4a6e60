-- Records that scan $2 of organization $1, which device $3 had sent, was accepted by API key $4 for the reason $5 at $6.
insert into acceptances (organization_id, scan_id, device_id, api_key_id, reason, accepted_at)
values ($1, $2, $3, $4, $5, $6)
