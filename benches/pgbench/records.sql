-- Records of denials, :batch of them in one statement, as the product writes denials that memory answered.
--
-- pgbench -M prepared -f records.sql -D batch=.., with the variables of one.sql
with drawn as (
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms, md5(random()::text) as random
    from generate_series(1, :batch::bigint)
)
insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id, result,
    reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source, decided_by, override_reason,
    local_result, metadata, payload_sha256, payload_format, payload_kid, shown)
select :org::uuid, (lpad(to_hex(ms), 12, '0') || '7' || substr(random, 1, 3) || '8' || substr(random, 4, 15))::uuid,
    random::uuid, substr(random, 1, 16), :event::uuid, :gate::uuid, :device::uuid, :session::uuid, 'duplicate',
    'already_scanned', null, 'entry', ms, ms, ms, 'online', 'memory', null, null, null, sha256(random::bytea), 'vg1', '1',
    '{"g":"Main","t":{"id":"' || random::uuid || '","code":"' || substr(random, 1, 16) || '","status":"scanned",'
        || '"ticket_class": null,"seat": null,"entry_limit":1,"scan_count":1,"note": null},"p":{"scan_id":"' || random::uuid
        || '","scanned_at":"2026-11-22T18:03:05.120Z","seconds_ago":60,"gate":{"id":"' || random::uuid
        || '","name":"Main"},"device_name":"rehearsal-0123456789ab-17","same_device": false}}'
from drawn;
