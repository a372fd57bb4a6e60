-- First-time valid scans, :batch of them in one statement: the cost of set-based writes alone.
--
-- pgbench -M prepared -f many.sql -D batch=.., with the variables of one.sql
\set first :base + (:n * :clients + :client_id) * :batch
\set last :first + :batch - 1
\set n :n + 1
with attempt as (
    select substr(md5(ticket::text), 1, 16) as code, ms,
        (lpad(to_hex(ms), 12, '0') || '7' || substr(random, 1, 3) || '8' || substr(random, 4, 15))::uuid as scan_id
    from (
        select ticket, (extract(epoch from clock_timestamp()) * 1000)::bigint as ms, md5(random()::text) as random
        from generate_series(:first::bigint, :last::bigint) ticket
    ) drawn
), admitted as (
    update tickets t
    set status = 'scanned', scan_count = t.scan_count + 1, version = t.version + 1, updated_at = a.ms,
        ledger = '{"n":1,"a":[{"e":{"s":"' || a.scan_id || '","t":' || a.ms || ',"g":"' || :gate
            || '","n":"Main","d":"' || :device || '","m":"rehearsal-0123456789ab-17"}}]}'
    from attempt a
    where t.organization_id = :org::uuid and t.code = a.code collate "C"
        and t.status = 'active' and t.scan_count < t.entry_limit
    returning t.id, t.code, a.scan_id, a.ms
), gate as (
    update occupancy set entries = entries + :batch::bigint, valid = valid + :batch::bigint
    where organization_id = :org::uuid and event_id = :event::uuid and gate_id = :gate::uuid
        and exists (select from admitted)
), session as (
    update sessions set scan_count = scan_count + :batch::bigint
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
