-- As one.sql, with the counters of gate and session: everything that the product writes for a scan. Clients that write
-- scan by scan wait for each other on the gate's row until the previous commit is on disk.
--
-- pgbench -M prepared -f counted.sql, with the variables of one.sql
\set ticket :base + :n * :clients + :client_id
\set n :n + 1
with moment as (
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms, md5(random()::text) as random
), attempt as (
    -- A version 7 UUID, as devices make them: rows arrive in index order.
    select ms, (lpad(to_hex(ms), 12, '0') || '7' || substr(random, 1, 3) || '8' || substr(random, 4, 15))::uuid as scan_id
    from moment
), admitted as (
    update tickets t
    set status = 'scanned', scan_count = t.scan_count + 1, version = t.version + 1, updated_at = a.ms,
        ledger = '{"n":1,"a":[{"e":{"s":"' || a.scan_id || '","t":' || a.ms || ',"g":"' || :gate
            || '","n":"Main","d":"' || :device || '","m":"rehearsal-0123456789ab-17"}}]}'
    from attempt a
    where t.organization_id = :org::uuid and t.code = substr(md5(:ticket::text), 1, 16)
        and t.status = 'active' and t.scan_count < t.entry_limit
    returning t.id, t.code, a.scan_id, a.ms
), gate as (
    update occupancy set entries = entries + 1, valid = valid + 1
    where organization_id = :org::uuid and event_id = :event::uuid and gate_id = :gate::uuid
        and exists (select from admitted)
), session as (
    update sessions set scan_count = scan_count + 1
    where organization_id = :org::uuid and id = :session::uuid and exists (select from admitted)
)
insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id, result,
    reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source, decided_by, override_reason,
    local_result, metadata, payload_sha256, payload_format, payload_kid, shown)
select :org::uuid, scan_id, id, code, :event::uuid, :gate::uuid, :device::uuid, :session::uuid, 'valid', 'admitted',
    null, 'entry', ms, ms, ms, 'online', 'database', null, null, null, sha256(code::bytea), 'vg1', '1',
    '{"g":"Main","t":{"id":"' || id || '","code":"' || code || '","status":"scanned","ticket_class": null,"seat": null,'
        || '"entry_limit":1,"scan_count":1,"note": null}}'
from admitted;
