set local lock_timeout = '2s';

-- What an upload is judged by later: when tickets were barred, and what quarantined scans hold.

-- The changes of tickets' statuses that staff made: voided, refunded, used, and active again. A scan that a device
-- decided offline is compared with the status at its own time. A ticket without a row was always active.
create table ticket_status_changes (
    organization_id uuid not null,
    ticket_id uuid not null,
    changed_at bigint not null,
    status text not null,
    primary key (organization_id, ticket_id, changed_at)
);

insert into ticket_status_changes (organization_id, ticket_id, changed_at, status)
select organization_id, id, updated_at, status
from tickets
where status in ('voided', 'refunded', 'used');

-- What a quarantined scan holds besides its columns (JSON), without its payload. Null for older rows.
alter table quarantine add column upload text;

create index quarantine_scan on quarantine (organization_id, scan_id);

-- Quarantined scans that staff accepted.
create table acceptances (
    organization_id uuid not null,
    scan_id uuid not null,
    device_id uuid not null,
    api_key_id uuid not null,
    reason text not null,
    accepted_at bigint not null,
    primary key (organization_id, scan_id)
);
