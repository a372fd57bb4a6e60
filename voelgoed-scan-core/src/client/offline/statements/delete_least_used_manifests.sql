-- Deletes the events whose manifests were used least recently, beyond a number of events. An event with scans that wait
-- for upload or are under way stays. A waiting scan of an earlier version does not name its event: then all stay.
-- $1 the number of events, $2 an event that stays; null for none
delete from manifest_uses
where event_id not in (
        select event_id
        from manifest_uses
        order by used desc
        limit $1
    )
    and event_id is not $2
    and not exists (
        select 1
        from scans
        where status is null
            and (scans.event_id = manifest_uses.event_id or scans.event_id is null)
    )
    and not exists (
        select 1
        from attempts
        where attempts.event_id = manifest_uses.event_id
    )
