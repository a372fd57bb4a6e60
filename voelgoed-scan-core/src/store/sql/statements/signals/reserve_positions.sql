-- Reserves $2 positions for changes of the signals of organization $1. Returns the last of them. The lock of the row is held
-- until the commit, so that positions are committed in their order.
insert into signal_positions (organization_id, last)
values ($1, $2)
on conflict (organization_id) do update set last = signal_positions.last + excluded.last
returning last
