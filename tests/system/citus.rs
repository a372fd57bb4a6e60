//! `deploy/citus.sql` names every table of the schema, and each in a way that Citus allows. No Citus runs here: its two functions
//! are replaced by ones that only note what they are asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::services::{execute_sql, postgres_program, query_sql, shared_database};

/// What the script uses of Citus. It takes a table only once, as Citus does.
const CITUS: &str = "
    create schema citus;
    create table citus.pg_dist_partition (logicalrelid regclass primary key, distributed_by text);
    create view pg_dist_partition as select * from citus.pg_dist_partition;
    create function create_distributed_table(name regclass, by text, colocate_with text default 'default')
        returns void language sql as
        $$ insert into citus.pg_dist_partition values (name, by || ' with ' || colocate_with) $$;
    create function create_reference_table(name regclass) returns void language sql as
        $$ insert into citus.pg_dist_partition values (name, 'a copy on every node') $$;";

/// The tables of the schema with what a query says of each, as `table|text` lines.
fn tables(url: &str, sql: &str) -> BTreeMap<String, String> {
    let lines = query_sql(url, sql);
    let pairs = lines.lines().filter_map(|line| line.split_once('|'));
    pairs
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}

#[test]
fn the_script_for_citus_names_every_table_of_the_schema_with_how_it_is_distributed() {
    let url = shared_database();
    let migrated = Launch::new(&url).with(["--migrate-only"]).command().output();
    assert!(migrated.expect("it runs").status.success());
    execute_sql(&url, CITUS);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let script = script
        .map(|folder| folder.join("deploy/citus.sql"))
        .find(|script| script.exists());
    let script = script.expect("the script");
    // The second run finds nothing to do.
    for _ in 0..2 {
        let status = Command::new(postgres_program("psql"))
            .args([
                "--no-psqlrc",
                "--quiet",
                "--output",
                "/dev/null",
                "--dbname",
                &url,
            ])
            .args(["--set", "ON_ERROR_STOP=1", "--file"])
            .arg(&script)
            .status();
        assert!(status.expect("psql runs").success());
    }
    let named = tables(
        &url,
        "select logicalrelid::text || '|' || distributed_by from citus.pg_dist_partition",
    );
    // A table with the organization in its key is distributed by it. sqlx's own table stays on the coordinator.
    let expected = tables(
        &url,
        "select t.relname || '|' || case
             when t.relname = 'organizations' then 'id with default'
             when bool_and(pg_get_indexdef(i.indexrelid, 1, true) = 'organization_id') then
                 'organization_id with organizations'
             else 'a copy on every node'
         end
         from pg_class t join pg_index i on i.indrelid = t.oid
         where t.relnamespace = 'public'::regnamespace and t.relkind = 'r' and t.relname <> '_sqlx_migrations'
         group by t.relname",
    );
    assert_eq!(named, expected);
    assert!(named.len() >= 36, "{named:?}");
    // Every table has a key, so that the query above has seen it.
    let without_key = "select coalesce(string_agg(relname, ' '), '') from pg_class t
        where relnamespace = 'public'::regnamespace and relkind = 'r'
            and not exists (select 1 from pg_index i where i.indrelid = t.oid and i.indisunique)";
    assert_eq!(query_sql(&url, without_key), "");
}
