-- Selects whether a conflict is stored that a scan lost.
-- $1 scan
select exists (
    select 1
    from conflicts
    where other_scan_id = $1
) as is_stored
