-- Deletes the parts of manifests whose events are no longer held.
delete from manifest_parts
where event_id not in (
    select event_id
    from manifest_uses
)
