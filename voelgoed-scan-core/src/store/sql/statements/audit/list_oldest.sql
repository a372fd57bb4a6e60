-- Reads a page of the audit log of organization $1, oldest first.
-- $2, $3: the first and the last number that may be read.
-- $4: kind of the actor. $5: its id. $6: action. $7: subject of the action, as the start of its name.
-- $8: kind of the subject. $9: its id. $10: earliest time. $11: latest time. A null is any.
-- $12: the limit. One row more than the page is read, which shows whether there is a next page.
select a.address, a.content, a.hash, a.signature
from audit_entries a
where a.organization_id = $1
    and a.sequence between $2 and $3
    and ($4 is null or a.actor_kind = $4)
    and ($5 is null or a.actor_id = $5)
    and ($6 is null or a.action = $6)
    and ($7 is null or a.action like $7)
    and ($8 is null or a.subject_kind = $8)
    and ($9 is null or a.subject_id = $9)
    and ($10 is null or a.at >= $10)
    and ($11 is null or a.at <= $11)
order by a.sequence asc
limit $12
