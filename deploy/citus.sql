-- Distributes the tables of voelgoed-scan by organization, on a coordinator of Citus:
--
--   psql "$VOELGOED_SCAN_DATABASE_URL" --set ON_ERROR_STOP=1 --command 'create extension if not exists citus'
--   voelgoed-scan-server --migrate-only
--   psql "$VOELGOED_SCAN_DATABASE_URL" --set ON_ERROR_STOP=1 --file deploy/citus.sql
--
-- Run it again after each upgrade that migrates: it leaves alone what is distributed, and distributes the tables that are
-- new. docs/scaling.md says what of this was tried.

-- The rows of one organization are on one node, in all of these tables.
select format('select create_distributed_table(%L, %L)', name, 'id')
from unnest(array['organizations']) as name
where not exists (select 1 from pg_dist_partition where logicalrelid = name::regclass)
\gexec

select format(
    'select create_distributed_table(%L, %L, colocate_with => %L)',
    name, 'organization_id', 'organizations'
)
from unnest(array[
    'acceptances',
    'api_keys',
    'arrivals',
    'audit_entries',
    'audit_heads',
    'custom_messages',
    'deleted_events',
    'devices',
    'events',
    'feed_batches',
    'feed_cursors',
    'feed_positions',
    'former_device_scopes',
    'former_entry_limits',
    'former_event_rules',
    'gates',
    'manifest_copies',
    'occupancy',
    'pending_audit_acts',
    'quarantine',
    'scan_changes',
    'scans',
    'sessions',
    'signal_positions',
    'signal_settings',
    'signal_windows',
    'signals',
    'signing_keys',
    'ticket_media',
    'ticket_status_changes',
    'tickets',
    'webhook_deliveries',
    'webhooks'
]) as name
where not exists (select 1 from pg_dist_partition where logicalrelid = name::regclass)
\gexec

-- These are read before the organization is known, or belong to none. Every node has a copy.
select format('select create_reference_table(%L)', name)
from unnest(array[
    'credentials',
    'cut_off_nodes',
    'dedup_windows',
    'enrollments',
    'leases',
    'signal_watch'
]) as name
where not exists (select 1 from pg_dist_partition where logicalrelid = name::regclass)
\gexec
