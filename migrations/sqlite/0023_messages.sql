-- The messages for stewards that each organization replaced by its own texts, as JSON by language and reason.
create table custom_messages (
    organization_id blob not null primary key,
    texts text not null
) strict, without rowid;
