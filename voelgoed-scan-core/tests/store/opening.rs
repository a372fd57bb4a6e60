//! Opening and migrating databases, and several nodes on one database.

use std::sync::Arc;
use std::time::Duration;

use voelgoed_scan_core::model::{Reason, ScanId, TicketCode};
use voelgoed_scan_core::store::{Durability, OpenError, Store, StoreError, open, open_with};

use crate::attempts::{entry, record_until_answered};
use crate::database::Database;
use crate::fixture::{ALL, Fixture, RULES, START, with_identities};

pub(crate) async fn a_reopened_database_keeps_its_contents(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    let again = fixture
        .database
        .open(false)
        .await
        .expect("it opens without migrating");
    let facts = again.ticket(fixture.organization, fixture.event, code).await;
    assert_eq!(
        facts.expect("the read succeeds"),
        Some(fixture.ticket_facts(code).await)
    );
}

pub(crate) async fn a_new_database_can_be_opened_concurrently(fixture: Fixture) {
    let database = fixture.database.another().await;
    let refused = database.open(false).await;
    assert!(
        refused.is_err(),
        "an empty database does not open without migrating"
    );
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let (url, opening) = (database.url.clone(), database.opening(true));
            tokio::spawn(async move { open_with(&url, opening).await })
        })
        .collect();
    for call in calls {
        let store = call
            .await
            .expect("the task completes")
            .expect("the database opens");
        assert_eq!(store.organizations().await.expect("the read succeeds"), []);
    }
    database.drop().await;
}

pub(crate) async fn nodes_sharing_a_database_respect_capacity(fixture: Fixture) {
    fixture.change_event(|event| event.capacity = Some(10)).await;
    let codes = twelve_tickets(&fixture).await;
    assert_eq!(admitted_at_many_nodes(&fixture, &codes).await, 10);
    assert_eq!(fixture.occupancy().await.event.inside, 10);
    for code in codes {
        assert!(fixture.ticket_facts(code).await.ticket.scan_count <= 1);
    }
}

pub(crate) async fn nodes_sharing_a_database_admit_each_ticket_once(fixture: Fixture) {
    let codes = twelve_tickets(&fixture).await;
    assert_eq!(admitted_at_many_nodes(&fixture, &codes).await, 12);
    assert_eq!(fixture.occupancy().await.event.inside, 12);
    for code in codes {
        assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
    }
}

async fn twelve_tickets(fixture: &Fixture) -> Vec<TicketCode> {
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(fixture.ticket("{}").await);
    }
    codes
}

/// Records every ticket on every node, in concurrent batches, and returns the number of admissions.
async fn admitted_at_many_nodes(fixture: &Fixture, codes: &[TicketCode]) -> usize {
    let nodes = fixture.open_nodes().await;
    let mut batches = Vec::new();
    for session in [&fixture.main_session, &fixture.side_session] {
        let batch: Vec<_> = codes.iter().map(|code| entry(session, *code, 0)).collect();
        batches.push(with_identities(&*fixture.store, &batch).await);
    }
    // The batches contain the same tickets, each in another order, at either gate.
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let node = Arc::clone(&nodes[number % nodes.len()]);
            let mut batch = batches[number % 2].clone();
            for attempt in &mut batch {
                attempt.scan_id = ScanId::from_uuid(uuid::Uuid::new_v4());
            }
            batch.rotate_left(number);
            if number % 4 > 1 {
                batch.reverse();
            }
            tokio::spawn(async move { record_until_answered(&*node, &batch).await })
        })
        .collect();
    let mut admitted = 0;
    for call in calls {
        let reasons = call.await.expect("the task completes");
        admitted += reasons
            .iter()
            .filter(|reason| **reason == Reason::Admitted)
            .count();
    }
    admitted
}

pub(crate) async fn an_unknown_database_url_is_reported_without_its_secrets(_: Fixture) {
    for url in [
        "",
        "gate.db",
        "mysql://root:hunter2@localhost/gate",
        "sqlite::memory:",
    ] {
        let Err(error) = open(url, true).await else {
            panic!("{url} must not open")
        };
        assert!(matches!(error, OpenError::UnknownUrl { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

pub(crate) async fn nul_characters_match_nothing_in_a_search_and_are_stored_in_metadata(fixture: Fixture) {
    fixture.ticket(r#"{"holder_name":"Ann"}"#).await;
    let devices = fixture
        .store
        .devices(fixture.organization, Some("scanner\0"), None, &ALL)
        .await;
    assert_eq!(devices.expect("the read succeeds").data, []);
    let tickets = fixture
        .store
        .tickets(fixture.organization, fixture.event, Some("Ann\0"), None, &ALL)
        .await;
    assert_eq!(tickets.expect("the read succeeds").data, []);
    let mut scan = entry(&fixture.main_session, fixture.ticket("{}").await, 0);
    scan.metadata = Some(serde_json::from_str(r#"{"odd":"\u0000 \\u0000 \ud83c\udf9f"}"#).expect("metadata"));
    let record = fixture.decided(scan).await.record;
    assert_eq!(
        fixture.audit_trail().await,
        [record],
        "JSON metadata can contain NUL"
    );
}

pub(crate) async fn a_database_of_a_later_version_is_refused_unless_its_migrations_are_compatible(
    fixture: Fixture,
) {
    let database = &fixture.database;
    let insert = |version: i64, name: &str| {
        let checksum = if database.is_postgresql() {
            "''::bytea"
        } else {
            "x''"
        };
        format!(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values ({version}, '{name}', true, {checksum}, 0)"
        )
    };
    database.execute(&insert(9001, "add an index, compatible")).await;
    for migrate in [true, false] {
        assert!(database.open(migrate).await.is_ok(), "a compatible migration");
    }
    database.execute(&insert(9002, "split the table of scans")).await;
    for migrate in [true, false] {
        let refused = database.open(migrate).await.err();
        assert!(
            matches!(refused, Some(OpenError::Newer { version: 9002 })),
            "{refused:?}"
        );
    }
}

pub(crate) async fn readiness_says_what_the_next_scan_meets(fixture: Fixture) {
    let store = &fixture.store;
    let before = fixture.audit_trail().await;
    store.check_writable(START).await.expect("scans are recorded");
    assert_eq!(fixture.audit_trail().await, before, "the probe leaves no scan");
    let (refuse, allow): (&[&str], _) = if fixture.database.is_postgresql() {
        (
            &[
                "create function refuse() returns trigger language plpgsql as
                     $$ begin raise exception 'refused'; end $$",
                "create trigger refuse before insert on scans for each row execute function refuse()",
            ],
            "drop trigger refuse on scans",
        )
    } else {
        (
            &["create trigger refuse before insert on scans begin select raise(abort, 'refused'); end"],
            "drop trigger refuse",
        )
    };
    for statement in refuse {
        fixture.database.execute(statement).await;
    }
    let code = fixture.ticket("{}").await;
    let scan = [entry(&fixture.main_session, code, 0)];
    let failed = store.record(&scan, &RULES).await;
    assert!(matches!(failed, Err(StoreError::Failed { .. })), "{failed:?}");
    let probe = store.check_writable(START).await;
    assert!(matches!(probe, Err(StoreError::Failed { .. })), "{probe:?}");
    fixture.database.execute(allow).await;
    store
        .check_writable(START)
        .await
        .expect("scans are recorded again");
    assert_eq!(fixture.enter(code, 1).await, Reason::Admitted);
}

pub(crate) async fn commits_are_durable_whatever_the_database_sets(fixture: Fixture) {
    let database = Arc::clone(&fixture.database);
    assert_eq!(
        fixture.store.durability().await.expect("read"),
        Durability::Durable
    );
    if !database.is_postgresql() {
        return;
    }
    let name = database.url.rsplit('/').next().expect("a name");
    database
        .execute(&format!("alter database {name} set synchronous_commit = off"))
        .await;
    // Records with each scan what its session does at a commit.
    database
        .execute(
            "create table observed (setting text not null);
             create function observe() returns trigger language plpgsql as $$ begin
                 insert into observed values (current_setting('synchronous_commit'));
                 if current_setting('synchronous_commit') = 'off' then raise exception 'not durable'; end if;
                 return new;
             end $$;
             create trigger observe before insert on scans for each row execute function observe();
             create trigger observe before insert on tickets for each row execute function observe();",
        )
        .await;
    let store = open_with_durability(&database, Durability::Overridden).await;
    let fixture = Fixture { store, ..fixture };
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    assert_eq!(fixture.leave(code, 1).await, Reason::Exited);
    // A stronger setting stays.
    database
        .execute(&format!(
            "alter database {name} set synchronous_commit = remote_apply;
             create or replace function observe() returns trigger language plpgsql as $$ begin
                 if current_setting('synchronous_commit') <> 'remote_apply' then raise exception 'weaker'; end if;
                 return new;
             end $$"
        ))
        .await;
    let store = open_with_durability(&database, Durability::Durable).await;
    let fixture = Fixture { store, ..fixture };
    fixture.ticket("{}").await;
}

/// Opens the database after a setting has changed, which holds for new sessions.
async fn open_with_durability(database: &Database, durability: Durability) -> Arc<dyn Store> {
    for _ in 0..200 {
        // A pooler keeps the sessions of before, and may need a moment to notice that they ended.
        database
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .await;
        if let Ok(store) = database.open(false).await
            && store.durability().await.is_ok_and(|read| read == durability)
        {
            return store;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the database never was {durability:?}");
}
