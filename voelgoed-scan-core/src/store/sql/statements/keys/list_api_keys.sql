-- Reads a page of the API keys of organization $1 in the order of their ids.
-- $2: the last id of the page before, or null. $3: the limit.
-- One row more than the page is read, which shows whether there is a next page.
select k.organization_id, k.id, k.name, k.role, k.inserted_at
from api_keys k
where k.organization_id = $1 and ($2 is null or k.id > $2)
order by k.id
limit $3
