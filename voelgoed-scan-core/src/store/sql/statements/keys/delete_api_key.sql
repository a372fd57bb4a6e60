-- Deletes API key $2 of organization $1, unless it is the organization's last key of an owner.
delete from api_keys
where organization_id = $1
    and id = $2
    and (
        role <> 'owner'
        or exists (
            select 1
            from api_keys other
            where other.organization_id = $1
                and other.role = 'owner'
                and other.id <> $2
        )
    )
returning role
