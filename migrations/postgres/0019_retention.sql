set local lock_timeout = '2s';

-- The events that were deleted. An id of this table is never used again. The rows of the event are deleted in the
-- background.
create table deleted_events (
    organization_id uuid not null,
    event_id uuid not null,
    deleted_at bigint not null,
    -- Whether nothing of the event is left.
    purged boolean not null default false,
    primary key (organization_id, event_id)
);

-- When the event became archived; null while it is not.
alter table events add column archived_at bigint;

update events set archived_at = updated_at where status = 'archived';
