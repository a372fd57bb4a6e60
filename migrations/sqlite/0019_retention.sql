-- The events that were deleted. An id of this table is never used again. The rows of the event are deleted in the
-- background.
create table deleted_events (
    organization_id blob not null,
    event_id blob not null,
    deleted_at integer not null,
    -- Whether nothing of the event is left.
    purged integer not null default 0,
    primary key (organization_id, event_id)
) strict;

-- When the event became archived; null while it is not.
alter table events add column archived_at integer;

update events set archived_at = updated_at where status = 'archived';
