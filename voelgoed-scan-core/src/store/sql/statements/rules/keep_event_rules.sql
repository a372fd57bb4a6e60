-- Keeps the rules that event $2 of organization $1 had until $3. $4: re-entry. $5: time zone.
-- $6: start of days.
-- Rules that began no earlier than $3 never held, and are not kept.
insert into former_event_rules (
    organization_id, event_id, held_until, reentry, time_zone, day_starts_at
)
select $1, $2, $3, $4, $5, $6
where not exists (
    select 1
    from former_event_rules f
    where f.organization_id = $1 and f.event_id = $2 and f.held_until >= $3
)
